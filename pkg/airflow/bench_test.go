package airflow

import (
	"testing"
)

const benchURI = "google-cloud-platform://svc%40acme:p%2Fss%20word@DB.Example.com:5432/warehouse?__extra__=" +
	"%7B%22project%22%3A+%22acme%22%2C+%22num_retries%22%3A+5%2C+%22scope%22%3A+%22a%2Cb%22%7D"

// BenchmarkParseEmit is held to 200,000 a second per core, that is 5 µs an operation.
func BenchmarkParseEmit(b *testing.B) {
	b.Run("uri", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			conn, err := ParseURI("id", benchURI)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := conn.URI(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		conn, err := ParseURI("id", benchURI)
		if err != nil {
			b.Fatal(err)
		}
		text := conn.JSON()
		b.ReportAllocs()
		for b.Loop() {
			conn, err := ParseJSON("id", text)
			if err != nil {
				b.Fatal(err)
			}
			text = conn.JSON()
		}
	})
}
