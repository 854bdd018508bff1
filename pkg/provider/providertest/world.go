// Package providertest is the contract that every provider passes, and a provider in
// memory for the tests of those who use one.
package providertest

import (
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Needle is part of every secret of the World. It must never be seen.
const Needle = "n33dle"

// World is what a provider holds, and for whom, while the contract runs.
type World struct {
	Connections []airflow.Connection
	Variables   map[string]string
	// Broken is a connection that exists and cannot be served.
	Broken string
	// Forbidden is a variable that exists and that Reader and Twin may not read; they
	// may read all else.
	Forbidden string
	// Reader and Twin are two pods of one service account. Stranger's token is refused.
	Reader, Twin, Stranger provider.Identity
}

// NewWorld is the world that the contract expects.
func NewWorld() World {
	return World{
		Connections: []airflow.Connection{
			{
				ID: "warehouse", Type: "postgres",
				Host: new("db.example.com"), Schema: new("sales"), Port: new(uint16(5432)),
				Login: new("etl"), Password: new(secret.New("p@ss/" + Needle)),
				Extra: new(secret.New(`{"sslmode":"require","key":"` + Needle + `"}`)),
			},
			{
				ID: "lake.eu-west", Type: "google_cloud_platform",
				Host: new(""), Schema: new(""),
				Extra: new(secret.New(`{"project":"` + Needle + `"}`)),
			},
		},
		Variables: map[string]string{
			"env":       "prod-" + Needle,
			"blank":     "",
			"forbidden": "no-" + Needle,
		},
		Broken:    "broken",
		Forbidden: "forbidden",
		Reader:    pod("reader-1", "reader", "token-of-reader-"+Needle),
		Twin:      pod("reader-2", "reader", "token-of-twin-"+Needle),
		Stranger:  pod("stranger-1", "stranger", "token-of-stranger-"+Needle),
	}
}

func pod(name, serviceAccount, token string) provider.Identity {
	return provider.Identity{
		Namespace: "team", ServiceAccount: serviceAccount, PodName: name, PodUID: "uid-of-" + name,
		Token: secret.New(token),
	}
}

// Names asks for connections and variables by name.
func Names(connections, variables []string) provider.Request {
	return provider.Request{
		Connections: provider.Selection{Names: connections},
		Variables:   provider.Selection{Names: variables},
	}
}

// Everything asks for all that the pod may read.
func Everything() provider.Request {
	return provider.Request{Connections: provider.Selection{All: true}, Variables: provider.Selection{All: true}}
}

// clone copies what a connection points at.
func clone(connection airflow.Connection) airflow.Connection {
	connection.Description = copied(connection.Description)
	connection.Host = copied(connection.Host)
	connection.Login = copied(connection.Login)
	connection.Password = copied(connection.Password)
	connection.Schema = copied(connection.Schema)
	connection.Port = copied(connection.Port)
	connection.Extra = copied(connection.Extra)
	return connection
}

func copied[T any](field *T) *T {
	if field == nil {
		return nil
	}
	return new(*field)
}
