package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Core is what is asked at every scrape.
type Core interface {
	// Files is how each file stands.
	Files() []store.Status
	// Entries counts those in force, by kind.
	Entries() map[entry.Kind]int
	// Expiry is when core's certificate ends; zero without TLS.
	Expiry() time.Time
}

// Watch has the core counted at every scrape.
func (m *Metrics) Watch(core Core) { m.registry.MustRegister(census{core}) }

type census struct{ core Core }

// maxFiles bounds the files that have series of their own.
const maxFiles = 4096

var (
	entriesDesc  = prometheus.NewDesc(prefix+"entries", "Entries in force, of all and of all teams, by kind.", []string{"kind"}, nil)
	faultyDesc   = prometheus.NewDesc(prefix+"files_not_in_force", "Files that hold what is not in force, because they cannot be read in good order. What was last read from them is.", nil, nil)
	sinceDesc    = prometheus.NewDesc(prefix+"file_not_in_force_since_seconds", "Since when what the file holds is not in force; 0 where it is.", []string{"file", "team"}, nil)
	readDesc     = prometheus.NewDesc(prefix+"file_read_timestamp_seconds", "When what is in force of the file was read; 0 for never.", []string{"file", "team"}, nil)
	databaseDesc = prometheus.NewDesc(prefix+"metastore_read_timestamp_seconds", "When Airflow's database was last looked at with success; 0 for never. Without --airflow-db there is no such series.", nil, nil)
	expiryDesc   = prometheus.NewDesc(prefix+"certificate_expiry_timestamp_seconds", "When the first certificate of core's chain ends.", nil, nil)
)

// Describe implements prometheus.Collector.
func (census) Describe(into chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{entriesDesc, faultyDesc, sinceDesc, readDesc, databaseDesc, expiryDesc} {
		into <- desc
	}
}

// Collect implements prometheus.Collector.
func (c census) Collect(into chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for kind, count := range c.core.Entries() {
		gauge(entriesDesc, float64(count), string(kind))
	}
	faulty := 0
	for i, file := range c.core.Files() {
		if file.Fault != "" {
			faulty++
		}
		if file.Kind == store.KindMetastore {
			gauge(databaseDesc, seconds(file.ReadAt))
		}
		if i < maxFiles {
			gauge(sinceDesc, seconds(file.Since), file.File, file.Team)
			gauge(readDesc, seconds(file.ReadAt), file.File, file.Team)
		}
	}
	gauge(faultyDesc, float64(faulty))
	if ends := c.core.Expiry(); !ends.IsZero() {
		gauge(expiryDesc, seconds(ends))
	}
}

func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
