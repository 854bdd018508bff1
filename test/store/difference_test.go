//go:build store

package store

// What we give otherwise than Airflow's classes of every store, and why.
const (
	noType   = "no hook can be chosen for a connection without a type, and no form of a file carries it"
	noText   = "a field that is no text has no place in a URI, and hooks expect text"
	portZero = "the port is what was written, and hooks take 0 for none"
	noPort   = "there is no such port"
	asJSON   = "a volume holds text: what is none is JSON there"
	isThere  = "it exists and cannot be served, which is not the same as missing"
)

// ofConnections are those about the text of a connection, which is read in one place for all stores.
var ofConnections = map[string]difference{
	"empty_object": {`connection {"conn_type":null`, "refused", noType},
	"no_type":      {`connection {"conn_type":null`, "refused", noType},
	"text":         {`connection {"conn_type":""`, "refused", noType},
	"list":         {`connection {"conn_type":""`, "refused", noType},
	"quoted":       {`connection {"conn_type":""`, "refused", noType},
	"extra_list":   {`connection {"conn_type":"aws","description":null,"extra":[1]`, "refused", noText},
	"host_number":  {`connection {"conn_type":"http","description":null,"extra":null,"host":5`, "refused", noText},
	"login_true":   {`connection {"conn_type":"http","description":null,"extra":null,"host":null,"login":true`, "refused", noText},
	"port_large":   {`connection {"conn_type":"http"`, "refused", noPort},
	"port_zero":    {`connection {"conn_type":"http"`, `connection {"conn_type":"http"`, portZero},
}

// ofOldConnections are those of Airflow 2.10 alone, whose connections are read as the newest reads them.
var ofOldConnections = map[string]difference{
	"old: blanks":          {`connection {"conn_type":"http"`, `connection {"conn_type":"http"`, "2.10 has no empty password"},
	"old: uri_no_password": {`connection {"conn_type":"ssh"`, `connection {"conn_type":"ssh"`, "2.10 has no empty password"},
}

// and is one table of several.
func and(tables ...map[string]difference) map[string]difference {
	all := map[string]difference{}
	for _, table := range tables {
		for id, one := range table {
			all[id] = one
		}
	}
	return all
}

// ofServer are those of Airflow's server, which is no task: a pod is given what the task SDK gives.
func ofServer() map[string]difference {
	const asTasks = "a task is given it so"
	all := and(ofConnections, ofJSON, map[string]difference{
		"uri_query":       {`connection {"conn_type":"mysql","description":null,"extra":{"charset":"utf8","flag":true,"n":1}`, `connection {"conn_type":"mysql"`, asTasks},
		"uri_query_twice": {`connection {"conn_type":"mysql","description":null,"extra":{"a":2}`, `connection {"conn_type":"mysql"`, asTasks},
		"extra_plain":     {"refused", `connection {"conn_type":"aws","description":null,"extra":"no JSON"`, asTasks},
		"blanks":          {`connection {"conn_type":"http"`, `connection {"conn_type":"http"`, asTasks + ": the server has no empty password"},
		"uri_no_password": {`connection {"conn_type":"ssh"`, `connection {"conn_type":"ssh"`, asTasks + ": the server has no empty password"},
	})
	delete(all, "extra_list") // which the server refuses, too
	return all
}
