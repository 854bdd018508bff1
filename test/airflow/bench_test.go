package airflow

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bench is where the stations of one node sit.
type bench struct {
	court    *court
	node     *node
	home     home
	dir      string
	stations []*seat
	started  []*process
	// homes are those that tasks have to themselves.
	homes []home
}

// seat is a station, and what is behind it.
type seat struct {
	*station
	way string
	// live tells whether rotations reach it, which no environment that has been handed over does.
	live bool
}

func (c *court) open(n *node, name string) (*bench, error) {
	place, err := c.blank.copied(filepath.Join(c.dir, name))
	if err != nil {
		return nil, err
	}
	b := &bench{court: c, node: n, home: place, dir: filepath.Join(place.dir, "stations")}
	return b, os.MkdirAll(b.dir, 0o755)
}

func (b *bench) close() {
	for _, each := range append(b.homes, b.home) {
		each.killAll(nil)
	}
	b.home.killAll(b.started)
}

// seat adds a station that a process, started or to be started, has in it.
func (b *bench) seat(way string, live bool, p *process) {
	b.stations = append(b.stations, &seat{&station{name: stationName(way), dir: b.dir, alive: p.alive}, way, live})
}

func stationName(way string) string {
	return strings.NewReplacer(" ", "-", ",", "", ".", "").Replace(way)
}

func (b *bench) run(agent []string, name, program string, args []string, environ ...string) (*process, error) {
	environ = append(environ, "JUDGE_DIR="+b.dir)
	p, err := b.home.start(agent, name, program, args, environ)
	if err == nil {
		b.started = append(b.started, p)
	}
	return p, err
}

// plain is a Python process that imports Airflow.
func (b *bench) plain(way string, agent []string) error {
	p, err := b.run(agent, stationName(way), "python", []string{filepath.Join(b.home.scripts, "station.py")}, "JUDGE_STATION="+stationName(way))
	if err == nil {
		b.seat(way, isLive(agent), p)
	}
	return err
}

func isLive(agent []string) bool { return slices.Contains(agent, "--airflow-backend") }

// task is the task of a DAG under "airflow dags test". Each has a metastore of its own, in which the runs
// of others do not stand.
func (b *bench) task(way string, agent []string) error {
	name := stationName(way)
	place, err := b.home.copied(filepath.Join(b.court.dir, name))
	if err != nil {
		return err
	}
	b.homes = append(b.homes, place)
	p, err := place.start(agent, name, "airflow", []string{"dags", "test", "judge", "2024-01-01"},
		[]string{"JUDGE_DIR=" + b.dir, "JUDGE_TASK=" + name})
	if err != nil {
		return err
	}
	b.started = append(b.started, p)
	b.seat(way, isLive(agent), p)
	return nil
}

// service is one of Airflow's own, and the stations in it.
type service struct {
	name    string
	ways    []string
	environ []string
}

// services are a scheduler whose executor runs the task, a triggerer that runs the trigger it
// defers to, and a DAG processor, which in 2.x is the scheduler's where the metastore is SQLite.
func (b *bench) services(ctx context.Context, way string, agent []string) error {
	task, trigger, parse := "executor, "+way, "triggerer, "+way, "DAG processor, "+way
	scheduler := service{"scheduler", []string{task}, []string{"JUDGE_TASK=" + stationName(task)}}
	triggerer := service{"triggerer", []string{trigger}, []string{"JUDGE_TRIGGERS=" + stationName(trigger)}}
	processor := service{"dag-processor", []string{parse}, []string{"JUDGE_PARSES=" + stationName(parse)}}
	all := []service{scheduler, triggerer, processor}
	if b.court.version.isTwo() {
		scheduler.ways, scheduler.environ = append(scheduler.ways, parse), append(scheduler.environ, processor.environ...)
		all = []service{scheduler, triggerer}
	} else if err := b.startAPI(ctx); err != nil {
		return err
	}
	for _, each := range all {
		p, err := b.run(agent, each.name, "airflow", []string{each.name}, append(each.environ, "JUDGE_DEFERS=1")...)
		if err != nil {
			return err
		}
		for _, way := range each.ways {
			b.seat(way, isLive(agent), p)
		}
	}
	return nil
}

// startAPI starts the API server, which knows nothing of what is delivered.
func (b *bench) startAPI(ctx context.Context) error {
	_, port, _ := strings.Cut(b.home.api, ":")
	p, err := b.run(nil, "api-server", "airflow", []string{"api-server", "--port", port, "--host", "127.0.0.1", "--workers", "1"})
	if err != nil {
		return err
	}
	return p.says(ctx, "running on")
}

// manyConnections in a file take Airflow 40 ms to look one up, so that all ways but one,
// which end in the same backend, are asked for some of them.
const manyConnections = 100

// askValues asks every station for everything.
func (b *bench) askValues(ctx context.Context) error {
	truth := b.node.source.truth
	for _, s := range b.stations {
		if err := s.isReady(ctx); err != nil {
			return err
		}
		asked := request{Connections: truth.connections(), Variables: truth.variables()}
		some := truth
		if s.live && len(asked.Connections) > manyConnections {
			some = truth.few()
			asked.Brief = &request{Connections: some.connections(), Variables: some.variables()}
		}
		a, err := s.ask(ctx, asked)
		if err != nil {
			return err
		}
		looks, err := a.looks()
		if err != nil {
			return err
		}
		for way, look := range looks {
			if way == "models" {
				truth.compare(b.cell(s, way, "values"), way, look)
			} else {
				some.compare(b.cell(s, way, "values"), way, look)
			}
		}
	}
	return nil
}

func (b *bench) cell(s *seat, way, aspect string) cell {
	return b.court.report.cell(b.court.version.number, s.way+"; "+way, aspect)
}
