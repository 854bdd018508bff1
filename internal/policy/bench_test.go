package policy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// BenchmarkPolicyPerPublish is what the policy adds to a publish of ten connections
// none of which is a reference, a stored key of the usual size among them.
func BenchmarkPolicyPerPublish(b *testing.B) {
	private := make([]byte, 1700)
	for i := range private {
		private[i] = 'A' + byte(i%26)
	}
	keyfile := `{"type":"service_account","project_id":"p","private_key":"` + string(private) + `","client_email":"E","token_uri":"U"}`
	conns := []airflow.Connection{
		parse(b, "google_cloud_platform", `{"extra":{"project":"p","keyfile_dict":`+keyfile+`}}`),
		parse(b, "google_cloud_platform", `{"extra":{"project":"p","scopes":["a","b"]}}`),
		parse(b, "aws", `{"extra":{"role_arn":"arn:aws:iam::1:role/r","region_name":"r"}}`),
		parse(b, "wasb", `{"host":"H","login":"C","password":"S","extra":{"tenant_id":"T"}}`),
	}
	for len(conns) < 10 {
		conns = append(conns, parse(b, "postgres", `{"host":"h","login":"u","password":"p","extra":{"sslmode":"require"}}`))
	}
	for b.Loop() {
		for _, conn := range conns {
			if _, err := process(conn, ""); err != nil {
				require.NoError(b, err)
			}
		}
	}
}
