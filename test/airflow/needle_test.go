package airflow

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// careless is the line of python/dag.py that has a password in it, and what the console of
// "airflow dags test" in 3.0 says of each secret that it is about to mask.
var careless = regexp.MustCompile(`(?m)^.*(looked up: |\[debug .*MaskSecret\().*$`)

// searchNeedles searches what every process has printed and logged for secrets. One line the
// task logs on purpose: in the task's log Airflow masks it, on the console of the process
// that runs the task it does not, which is not ours to judge.
func (c *court) searchNeedles() error {
	searched, secrets := 0, 0
	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		isLog := filepath.Ext(path) == ".log" || filepath.Ext(path) == ".out"
		if err != nil || entry.IsDir() || !isLog {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		searched++
		if filepath.Ext(path) == ".out" {
			text = careless.ReplaceAll(text, nil)
		}
		if at := bytes.Index(text, []byte("n33dle")); at >= 0 {
			secrets++
			name, _ := filepath.Rel(c.dir, path)
			c.report.fail("Airflow %s: a secret stands in %s: …%.200s", c.version.number, name, text[max(0, at-100):])
		}
		return nil
	})
	c.report.remark("Airflow %s: a secret in %d of %d logs", c.version.number, secrets, searched)
	return err
}
