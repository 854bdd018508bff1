package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
)

// searchNeedles searches what every process has printed and logged for secrets. Airflow
// masks what a task looks up; what it did not, or a traceback, would hold one.
func (c *court) searchNeedles() error {
	searched := 0
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
		if at := bytes.Index(text, []byte("n33dle")); at >= 0 {
			name, _ := filepath.Rel(c.dir, path)
			c.report.fail("Airflow %s: a secret stands in %s: …%.200s", c.version.number, name, text[max(0, at-100):])
		}
		return nil
	})
	c.report.remark("Airflow %s: no secret in %d logs", c.version.number, searched)
	return err
}
