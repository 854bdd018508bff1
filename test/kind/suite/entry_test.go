package suite

import (
	"fmt"
	"maps"
	"sync"

	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// parts are connections that fill a volume up to the ten entries that the driver's memory
// is reckoned for.
const parts = 7

// rules are core's. No rule allows the connection "payroll"; "ghost" is allowed and does
// not exist.
var rules = []map[string]any{
	{
		"namespaces": []string{"leoflow-suite-*"}, "serviceAccounts": []string{"default"},
		"connections": []string{"warehouse", "rotating", "ghost", "part_*"}, "variables": []string{"region", "batch.size", "rotating", "odd"},
	},
	{
		"namespaces": []string{"leoflow-suite-*"}, "serviceAccounts": []string{"reporter"},
		"connections": []string{"reporting"}, "variables": []string{"region"},
	},
	{"tenants": []string{"acme"}, "dags": []string{"billing"}, "connections": []string{"billing"}},
	{"namespaces": []string{chart.Namespace}, "serviceAccounts": []string{"default"}, "connections": []string{"warehouse"}, "variables": []string{"region"}},
	{
		"namespaces": []string{"leoflow-suite-*"}, "serviceAccounts": []string{direct},
		"connections": []string{"warehouse", "rotating", "ghost", "reporting"}, "variables": []string{"region", "rotating"}, "direct": true,
	},
	{"namespaces": []string{"leoflow-suite-*"}, "serviceAccounts": []string{"keyless"}, "connections": []string{"aws_default"}},
}

// entries are what core keeps. Every value has a needle in it: a text that is found
// nowhere unless a secret got there.
type entries struct {
	mu          sync.Mutex
	connections map[string]any
	variables   map[string]string
	needles     map[string]string // where each was planted
}

func plant() *entries {
	e := &entries{needles: map[string]string{}}
	e.connections = map[string]any{
		"warehouse": map[string]any{
			"conn_type": "postgres", "host": "db.example.com", "port": 5432, "schema": "dwh",
			"login": "etl", "password": e.needle("password of warehouse"),
			"extra": map[string]any{"sslmode": "require", "key": e.needle("extra of warehouse")},
		},
		"aws_default": map[string]any{"conn_type": "aws"},
		"reporting":   "mysql://reader:" + e.needle("URI of reporting") + "@mysql.example.com:3306/reports",
		"payroll":     "mysql://owner:" + e.needle("URI of payroll") + "@mysql.example.com:3306/payroll",
		"billing":     "mysql://biller:" + e.needle("URI of billing") + "@mysql.example.com:3306/billing",
		"rotating":    "http://:" + e.needle("first URI of rotating") + "@api.example.com",
	}
	for i := range parts {
		id := partID(i)
		e.connections[id] = "postgres://etl:" + e.needle("URI of "+id) + "@" + id + ".example.com:5432/dwh"
	}
	e.variables = map[string]string{
		"region":     "eu-" + e.needle("variable region"),
		"batch.size": "500-" + e.needle("variable batch.size"),
		"rotating":   "first-" + e.needle("first variable rotating"),
		"odd":        " #$HOME $(X) \"q\" = `y` \\n {é}\n\n  " + e.needle("variable odd") + "\r, ",
	}
	return e
}

func partID(i int) string { return fmt.Sprintf("part_%d", i) }

func (e *entries) needle(where string) string {
	text := needle.Text()
	e.needles[text] = where
	return text
}

// warehouse is the connection as the environment has it.
func (e *entries) warehouse() string {
	object := e.connections["warehouse"].(map[string]any)
	key := object["extra"].(map[string]any)["key"].(string)
	return "postgres://etl:" + object["password"].(string) + "@db.example.com:5432/dwh" +
		"?__extra__=%7B%22key%22%3A%22" + key + "%22%2C%22sslmode%22%3A%22require%22%7D"
}

// rotate gives the variable and the connection "rotating" new values.
func (e *entries) rotate() (variable, connection string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.variables["rotating"] = "next-" + e.needle("next variable rotating")
	e.connections["rotating"] = "http://:" + e.needle("next URI of rotating") + "@api.example.com"
	return e.variables["rotating"], e.connections["rotating"].(string)
}

// all is what core is given.
func (e *entries) all() chart.Entries {
	e.mu.Lock()
	defer e.mu.Unlock()
	return chart.Entries{Connections: maps.Clone(e.connections), Variables: maps.Clone(e.variables)}
}
