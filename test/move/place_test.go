package move

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// places are what a reader of each section has: a store that is filled, and what leads there.
var places = map[string]func(r *reader){
	"Airflow's own database": airflowDatabase,
	"Vault and OpenBao":      vault,
	"AWS Secrets Manager": func(r *reader) {
		amazon(r, "secretsmanager:GetSecretValue", "secret:airflow/connections/%s-??????", "airflow/connections/")
	},
	"AWS Parameter Store": func(r *reader) {
		amazon(r, "ssm:GetParameter", "parameter/airflow/connections/%s", "/airflow/connections/")
	},
	"Google Cloud Secret Manager": google,
	"Azure Key Vault":             azure,
	"Kubernetes Secrets":          kubernetesSecrets,
}

// tables are as much of Airflow's as there is to read.
const tables = `
CREATE TABLE connection (id serial PRIMARY KEY, conn_id varchar(250) UNIQUE, conn_type varchar(500), description text, host varchar(500), schema varchar(500),
  login text, password varchar(5000), port integer, is_encrypted boolean, is_extra_encrypted boolean, extra text, team_name varchar(50));
CREATE TABLE variable (id serial PRIMARY KEY, key varchar(250) UNIQUE, val text, description text, is_encrypted boolean, team_name varchar(50));
`

func airflowDatabase(r *reader) {
	if testpostgres.Tool("initdb") == "" {
		testneed.Missing(r.t, "PostgreSQL's initdb (Debian has it in postgresql)")
	}
	server, err := testpostgres.Start(r.t.Context(), r.t.TempDir())
	require.NoError(r.t, err)
	r.t.Cleanup(server.Stop)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	sql := tables
	for id, uri := range uris {
		user, rest, _ := strings.Cut(strings.TrimPrefix(uri, "postgres://"), ":")
		password, rest, _ := strings.Cut(rest, "@db.example.com:5432/")
		sql += fmt.Sprintf("INSERT INTO connection (conn_id, conn_type, host, port, schema, login, password, is_encrypted) VALUES ('%s', 'postgres', 'db.example.com', 5432, '%s', '%s', '%s', true);\n",
			id, rest, user, fernet(key, password))
	}
	_, err = server.Query(r.t.Context(), "postgres", "CREATE ROLE airflow LOGIN PASSWORD 'owner' CREATEROLE; CREATE DATABASE airflow OWNER airflow;")
	require.NoError(r.t, err)
	_, err = server.Query(r.t.Context(), "airflow", "SET ROLE airflow;"+sql)
	require.NoError(r.t, err)
	r.secrets["airflow/airflow-fernet-key"] = map[string]string{"fernet-key": base64.URLEncoding.EncodeToString(key)}
	r.env = []string{"AIRFLOW_DATABASE=" + server.URL("airflow", "owner", "airflow"), "PASSWORD=a-long-random-one", "HOST=" + server.Address}
	r.programs["psql"] = local(testpostgres.Tool("psql"))
}

// fernet encrypts as Airflow does, by the specification of Fernet.
func fernet(key []byte, text string) string {
	padding := aes.BlockSize - len(text)%aes.BlockSize
	padded := append([]byte(text), strings.Repeat(string(rune(padding)), padding)...)
	token := binary.BigEndian.AppendUint64([]byte{0x80}, uint64(time.Now().Unix()))
	iv := make([]byte, aes.BlockSize)
	_, _ = rand.Read(iv)
	block, _ := aes.NewCipher(key[16:]) // of 16 bytes: cannot fail
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	token = append(append(token, iv...), padded...)
	sum := hmac.New(sha256.New, key[:16])
	_, _ = sum.Write(token)
	return base64.URLEncoding.EncodeToString(sum.Sum(token))
}

func vault(r *reader) {
	bao := cloudtest.StartBao(r.t)
	for id, uri := range uris {
		bao.Put("connections/"+id, map[string]string{"conn_uri": uri})
	}
	tokens, accounts := map[string]string{}, map[string][2]string{}
	for _, pod := range []string{"own", "other"} {
		tokens[pod] = bao.Token(namespace, account, cloudtest.BaoAudience, time.Hour).Reveal()
		accounts[tokens[pod]] = [2]string{namespace, account}
	}
	bao.ReviewBy(accounts)
	r.cloudTokens = func(pod string) map[string]string { return map[string]string{cloudtest.BaoAudience: tokens[pod]} }
	r.kwargs = asJSON(r.t, map[string]any{"connections_path": "connections", "mount_point": "secret", "url": bao.URL(), "auth_type": "kubernetes", "kubernetes_role": "airflow-worker"})
	r.driverArgs = []string{"--source-vault-ca=" + r.write("ca.crt", bao.Certificate())}
	path, err := exec.LookPath("bao")
	require.NoError(r.t, err)
	admin := bao.Do("POST", "auth/token/create", map[string]any{"policies": []string{"root"}})["auth"].(map[string]any)["client_token"].(string)
	r.programs["vault"] = local(path, "BAO_ADDR="+bao.Plain(), "BAO_TOKEN="+admin, "HOME="+r.dir)
}

// may has a cloud's server give what was granted.
func (g grants) hold(server *cloudtest.Server, names string) {
	server.Hold(func(principal, name, _ string) (string, error) {
		id, found := strings.CutPrefix(name, names)
		value, allowed := g.may(principal, id)
		switch {
		case !found || value == "":
			return "", provider.ErrMissing
		case !allowed:
			return "", provider.ErrDenied
		}
		return value, nil
	})
}

func (r *reader) cloud(server *cloudtest.Server, audience string) {
	r.cloudTokens = func(string) map[string]string {
		return map[string]string{audience: server.Tokens.Pod(namespace, account, audience).CloudTokens[audience].Reveal()}
	}
	r.driverArgs = append(r.driverArgs, "--cloud-ca="+r.write("ca.crt", server.Certificate()))
}

// amazon knows as much of IAM as the page uses: a policy of one action on one resource, and eksctl, which makes a
// role that one service account may assume, and annotates the account.
func amazon(r *reader, action, resource, names string) {
	server := cloudtest.StartAWS(r.t, cloudtest.NewTokens())
	const role = "arn:aws:iam::111122223333:role/eksctl-etl"
	allowed, trusted := grants{}, ""
	policies := map[string]string{} // the id that each lets read, by its ARN
	server.MayAssume = func(subject, wanted string) bool { return subject == trusted && wanted == role }
	allowed.hold(server.Server, names)
	r.programs["aws"] = func(c typed) (string, error) {
		words, options := c.words()
		if !is(words, "iam create-policy") {
			return c.unknown()
		}
		var policy struct {
			Version   string
			Statement []struct{ Effect, Action, Resource string }
		}
		if err := json.Unmarshal([]byte(options["policy-document"][0]), &policy); err != nil {
			return "", err
		}
		for id := range uris {
			said := policy.Statement[0]
			arn := "arn:aws:" + strings.Split(action, ":")[0] + ":eu-west-1:111122223333:" + fmt.Sprintf(resource, id)
			if said.Effect == "Allow" && said.Action == action && said.Resource == arn {
				policies["arn:aws:iam::111122223333:policy/"+options["policy-name"][0]] = id
			}
		}
		return "", nil
	}
	r.programs["eksctl"] = func(c typed) (string, error) {
		words, options := c.words("approve", "override-existing-serviceaccounts")
		if !is(words, "create iamserviceaccount") {
			return c.unknown()
		}
		trusted = options["namespace"][0] + "/" + options["name"][0]
		allowed[trusted+" as "+role+" "+policies[options["attach-policy-arn"][0]]] = true
		return r.kubectl(typed{Program: "kubectl", Args: []string{"-n", namespace, "annotate", "serviceaccount", options["name"][0], "eks.amazonaws.com/role-arn=" + role}})
	}
	r.kwargs = asJSON(r.t, map[string]string{"connections_prefix": strings.TrimSuffix(names, "/"), "endpoint_url": server.URL()})
	r.cloud(server.Server, cloudtest.AWSTokenAudience)
	r.driverArgs = append(r.driverArgs, "--aws-sts-endpoint="+server.URL())
}

func google(r *reader) {
	server := cloudtest.StartGCP(r.t, cloudtest.NewTokens())
	pool := strings.TrimSuffix(strings.TrimPrefix(cloudtest.GCPAudience, "//iam.googleapis.com/"), "/providers/cluster")
	allowed := grants{}
	allowed.hold(server.Server, "projects/example/secrets/airflow-connections-")
	r.programs["gcloud"] = func(c typed) (string, error) {
		words, options := c.words()
		subject, isMember := strings.CutPrefix(options["member"][0], "principal://iam.googleapis.com/"+pool+"/subject/system:serviceaccount:")
		if !is(words, "secrets add-iam-policy-binding") || options["role"][0] != "roles/secretmanager.secretAccessor" || !isMember {
			return c.unknown()
		}
		allowed[strings.ReplaceAll(subject, ":", "/")+" "+strings.TrimPrefix(words[2], "airflow-connections-")] = true
		return "", nil
	}
	r.env = []string{"POOL=" + pool}
	r.kwargs = `{"connections_prefix": "airflow-connections", "project_id": "example"}`
	r.cloud(server.Server, cloudtest.GCPTokenAudience)
	r.driverArgs = append(r.driverArgs, "--gcp-endpoint="+server.Address, "--gcp-sts-url="+server.URL()+"/token", "--gcp-iam-url="+server.URL())
}

func azure(r *reader) {
	server := cloudtest.StartAzure(r.t, cloudtest.NewTokens())
	const client = "11111111-2222-3333-4444-555555555555"
	vault := "/subscriptions/s/resourceGroups/prod/providers/Microsoft.KeyVault/vaults/example"
	allowed, trusted := grants{}, ""
	server.Trusts = func(subject, wanted, _ string) bool { return subject == trusted && wanted == client }
	allowed.hold(server.Server, "airflow-connections-")
	r.programs["az"] = func(c typed) (string, error) {
		words, options := c.words()
		switch {
		case is(words, "identity create"):
			return client + "\n", nil
		case is(words, "identity federated-credential create") && options["audiences"][0] == cloudtest.AzureTokenAudience:
			trusted = strings.ReplaceAll(strings.TrimPrefix(options["subject"][0], "system:serviceaccount:"), ":", "/")
		case is(words, "role assignment create") && options["role"][0] == "Key Vault Secrets User":
			id := strings.TrimPrefix(options["scope"][0], vault+"/secrets/airflow-connections-")
			allowed[namespace+"/"+account+" as "+options["assignee"][0]+" in "+cloudtest.AzureTenant+" "+id] = true
		default:
			return c.unknown()
		}
		return "", nil
	}
	r.env = []string{"VAULT_ID=" + vault, "TENANT=" + cloudtest.AzureTenant, "OIDC_ISSUER=https://oidc.example.com"}
	r.kwargs = `{"connections_prefix": "airflow-connections", "vault_url": "https://example.vault.azure.net"}`
	r.cloud(server.Server, cloudtest.AzureTokenAudience)
	r.driverArgs = append(r.driverArgs, "--azure-authority-host="+server.URL(), "--azure-vault-endpoint="+server.URL())
}

func kubernetesSecrets(r *reader) {
	for id, uri := range uris {
		r.secrets[namespace+"/airflow-conn-"+id] = map[string]string{"value": uri}
	}
	r.kwargs = "{}"
}
