package airflow_test

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// What stands in AIRFLOW_CONN_<ID> is a URI or JSON, and Parse reads both.
func ExampleParse() {
	conn, err := airflow.Parse("warehouse", `{"conn_type":"postgresql","host":"db","login":"ada","password":"p@ss","port":5432}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	uri, err := conn.URI()
	fmt.Println(conn.Type, uri, err)
	// Output: postgres postgres://ada:p%40ss@db:5432 <nil>
}

// An error names the field, and never what stands there.
func ExampleParse_error() {
	_, err := airflow.Parse("warehouse", `{"conn_type":"postgres","password":"p@ss","port":"many"}`)
	var field *airflow.FieldError
	fmt.Println(errors.As(err, &field), err)
	// Output: true field "port" at byte 43: must be a whole number from 0 to 65535
}

// Cores in the field write types with underscores as schemes, which are none.
func ExampleConnection_URI() {
	conn, _ := airflow.ParseURI("gcp", "google_cloud_platform:?project=p")
	uri, _ := conn.URI()
	fmt.Println(uri)
	// Output: google-cloud-platform:///?__extra__=%7B%22project%22%3A%22p%22%7D
}

// JSON has a place for what a URI has none for.
func ExampleConnection_JSON() {
	conn, _ := airflow.Parse("mail", "smtp://mail.example.com")
	conn.Description = new("the office's server")
	fmt.Println(string(conn.JSON()))
	// Output: {"conn_type":"smtp","description":"the office's server","host":"mail.example.com","schema":""}
}

func ExampleConnectionEnvName() {
	name, err := airflow.ConnectionEnvName("straße-2")
	fmt.Println(name, err)
	// Output: AIRFLOW_CONN_STRASSE-2 <nil>
}

// What Airflow drops without a word can be told to the author.
func ExampleLosses() {
	for _, loss := range airflow.Losses("postgres://db/sales?sslmode=require#replica") {
		fmt.Println(loss)
	}
	// Output: "#" ends the URI, and what stands after it is lost: write %23
}
