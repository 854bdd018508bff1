//go:build store

package store

import (
	"context"

	"github.com/leoflow/secrets-csi/test/venv"
)

// age is a time at which somebody installed Airflow with the backends of all stores.
type age struct {
	name, before string
	packages     []string
}

// ages are the newest, and the oldest whose stores people still have.
var ages = []age{
	{"new", "2026-11-20", []string{
		"apache-airflow==3.3.2", "apache-airflow-providers-amazon==9.39.0", "apache-airflow-providers-hashicorp==4.8.4",
		"apache-airflow-providers-google==22.8.0", "apache-airflow-providers-microsoft-azure==15.2.1",
	}},
	{"old", "2025-03-01", []string{
		"apache-airflow==2.10.5", "apache-airflow-providers-amazon==9.0.0", "apache-airflow-providers-hashicorp==3.8.0",
		"apache-airflow-providers-google==11.0.0", "apache-airflow-providers-microsoft-azure==11.1.0",
	}},
}

// kubernetesAges are those of the class for Kubernetes, which came late: the newest, and the first.
var kubernetesAges = []age{
	{"new", "2026-11-20", []string{"apache-airflow==3.3.2", "apache-airflow-providers-cncf-kubernetes==10.25.0"}},
	{"old", "2026-06-01", []string{"apache-airflow==2.11.2", "apache-airflow-providers-cncf-kubernetes==10.14.0"}},
}

// install makes the virtual environment below cache, or finds the one that is there.
func (a age) install(ctx context.Context, cache string, tell func(line string)) (string, error) {
	recipe := venv.Recipe{Name: "store-" + a.name, Python: ">=3.11,<3.13", Before: a.before, Packages: a.packages}
	return recipe.Make(ctx, cache, tell)
}
