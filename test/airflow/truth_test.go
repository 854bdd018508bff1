package airflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// truth is what a metastore holds after Airflow's own import.
type truth struct {
	// Models and SDK are the connections as a server and as a worker is given them.
	Models    map[string]found           `json:"models"`
	SDK       map[string]found           `json:"sdk"`
	Variables map[string]found           `json:"variables"`
	Hooks     map[string]json.RawMessage `json:"hooks"`
}

func readTruth(path string) (truth, error) {
	var t truth
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(text, &t)
}

func (t truth) connections() []string { return slices.Sorted(maps.Keys(t.Models)) }
func (t truth) variables() []string   { return slices.Sorted(maps.Keys(t.Variables)) }

// few is the truth of some of the entries, the ones that change among them: a task has
// every connection of a file made at each look-up, which takes its time.
func (t truth) few() truth {
	kept := truth{Models: map[string]found{}, SDK: map[string]found{}, Variables: map[string]found{}}
	for i, id := range t.connections() {
		if i%5 == 0 || slices.Contains(changedEntries.Connections, id) {
			kept.Models[id], kept.SDK[id] = t.Models[id], t.SDK[id]
		}
	}
	for i, key := range t.variables() {
		if i%5 == 0 || slices.Contains(changedEntries.Variables, key) {
			kept.Variables[key] = t.Variables[key]
		}
	}
	return kept
}

// compare holds what a way of looking up found against the truth, into the cell of the report.
func (t truth) compare(c cell, way string, got look) {
	for id, server := range t.Models {
		c.compare("connection "+id, got.Connections[id], server, t.workers(way, id))
	}
	for key, want := range t.Variables {
		if way != "async" { // there is no asynchronous way to look a variable up
			c.compare("variable "+key, got.Variables[key], want, want)
		}
	}
}

// workers is the connection as the API hands it to a worker, for the ways that may have the worker's class. The
// description is not handed to workers, so nothing there is compared with it.
func (t truth) workers(way, id string) found {
	if way == "models" {
		return t.Models[id]
	}
	worker := maps.Clone(t.SDK[id])
	if description, there := t.Models[id]["description"]; there {
		worker["description"] = description
	}
	return worker
}

// compare tells of each field that has neither the value for servers nor that for workers.
func (c cell) compare(entry string, got, server, worker found) {
	c.report.count(c)
	if got == nil {
		c.differs(entry, "", "not looked up", "")
		return
	}
	if got.isMissing() || server.isMissing() {
		if got.isMissing() != server.isMissing() {
			c.differs(entry, "", presence(got), presence(server))
		}
		return
	}
	for field, want := range server {
		if value := got[field]; value != want && value != worker[field] {
			c.differs(entry, field, value, want)
		}
	}
}

func presence(f found) string {
	if f.isMissing() {
		return fmt.Sprintf("absent (%s)", f["missing"])
	}
	return "there"
}
