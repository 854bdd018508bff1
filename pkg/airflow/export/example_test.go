package export_test

import (
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/airflow/export"
)

// A broken entry is told with its line, and the others are read.
func ExampleReadConnections() {
	content := []byte("warehouse: postgres://ada@db/sales\nmail:\n  conn_type: smtp\n  port: many\n")
	connections, faults, err := export.ReadConnections("connections.yaml", content, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, one := range connections {
		fmt.Println(one.ID, one.Connection.Type, *one.Connection.Host)
	}
	for _, fault := range faults {
		fmt.Println(fault)
	}
	// Output:
	// warehouse postgres db
	// connections.yaml:4: connection "mail": field "port": must be a whole number from 0 to 65535
}

// What is no string is stored as JSON, as "airflow variables import" stores it.
func ExampleReadVariables() {
	variables, _, err := export.ReadVariables("variables.json", []byte(`{"region": "north", "limits": {"rows": 5}}`))
	for _, one := range variables {
		fmt.Println(one.Key, one.Value.Reveal())
	}
	fmt.Println(err)
	// Output:
	// region north
	// limits {
	//   "rows": 5
	// }
	// <nil>
}
