package airflow

import (
	"context"
	"strings"

	"github.com/leoflow/secrets-csi/test/venv"
)

// version is one release of Airflow and what is installed with it.
type version struct {
	series, number string
	// before leaves out what was released later: a dependency that came after it broke
	// 3.0.6 and 3.2.2, in which no task runs any more.
	before string
	// python is a range that it runs on.
	python string
	// hooks installs the provider packages of that time, whose hooks are then asked too.
	hooks bool
}

// versions has the newest first, which is the one that every CI run judges by.
var versions = []version{
	{"3.3", "3.3.2", "2026-11-20", ">=3.11,<3.14", true},
	{"3.2", "3.2.2", "2026-07-01", ">=3.11,<3.14", false},
	{"3.1", "3.1.8", "2026-11-20", ">=3.11,<3.14", false},
	{"3.0", "3.0.6", "2025-10-01", ">=3.11,<3.13", true},
	{"2.11", "2.11.2", "2026-11-20", ">=3.11,<3.13", false},
	{"2.10", "2.10.5", "2025-03-01", ">=3.11,<3.13", true},
}

var hookProviders = []string{"google", "amazon", "microsoft-azure", "postgres", "http", "ssh", "snowflake"}

func (v version) isTwo() bool { return strings.HasPrefix(v.number, "2.") }

func (v version) packages() []string {
	list := []string{"apache-airflow==" + v.number}
	if v.hooks {
		for _, name := range hookProviders {
			list = append(list, "apache-airflow-providers-"+name)
		}
	}
	return list
}

// install makes a virtual environment below cache, or finds the one that is there, and
// returns its directory.
func (v version) install(ctx context.Context, cache string) (string, error) {
	recipe := venv.Recipe{Name: v.number, Python: v.python, Before: v.before, Packages: v.packages()}
	return recipe.Make(ctx, cache, func(line string) { say("%s", line) })
}
