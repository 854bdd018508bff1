package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/leoflow/secrets-csi/test/venv"
)

// examples runs the DAGs of examples/ by a real Airflow, which finds their connections in a volume.
func (j *judge) examples(ctx context.Context, s *servers) error {
	recipe := venv.Recipe{Name: "3.3.2", Python: ">=3.11,<3.14", Before: before, Packages: []string{ // as in test/airflow, which shares it
		"apache-airflow==3.3.2", "apache-airflow-providers-google", "apache-airflow-providers-amazon", "apache-airflow-providers-microsoft-azure",
		"apache-airflow-providers-postgres", "apache-airflow-providers-http", "apache-airflow-providers-ssh", "apache-airflow-providers-snowflake",
	}}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	home := filepath.Join(j.dir, "airflow")
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	environ := []string{"PYTHONPATH=" + filepath.Join(j.root, "python"), "PYTHONWARNINGS=ignore"}
	said, logged, err := s.ask(ctx, dir, environ, "examples.py", filepath.Join(j.root, "examples"), home)
	if err != nil {
		return err
	}
	say("%s", said)
	j.searchNeedle("the examples", append(said, logged...))
	return filepath.WalkDir(filepath.Join(home, "logs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		j.searchNeedle(path, text)
		return err
	})
}
