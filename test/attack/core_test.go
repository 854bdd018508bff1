package attack

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	residents = 100 // honest pods that run all the while
	// auditRate is what an attack may write into the audit log, in bytes a second.
	auditRate = 10 << 10
	podRules  = "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}, {namespaces: ['*'], serviceAccounts: ['*'], connections: ['*'], variables: ['*']}]\n"
)

// guarded is a node whose core knows pods by their tokens, and writes its audit log into a file.
type guarded struct {
	*node
	audit string
}

func newGuarded(t *testing.T, coreArgs ...string) *guarded {
	t.Helper()
	begin(t)
	dir, api := t.TempDir(), startAPI(t)
	kubeconfig, records := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "audit.jsonl")
	require.NoError(t, os.WriteFile(kubeconfig, api.Kubeconfig(), 0o600))
	g := &guarded{newNode(t, options{api: api, coreArgs: append([]string{
		"--auth=jwt,tokenreview", "--kubeconfig=" + kubeconfig, "--node-service-accounts=leoflow/driver", "--audit-log=" + records,
	}, coreArgs...)}), records}
	rules := filepath.Join(g.Dir, "rules.next")
	require.NoError(t, os.WriteFile(rules, []byte(podRules), 0o600))
	require.NoError(t, os.Rename(rules, filepath.Join(g.Dir, "rules.yaml")))
	g.token = g.podToken(t, bank, "honest")
	for _, resident := range g.pods(t, residents, bank, "core", shared, func(i int, pod *stack.Pod) {
		pod.Name, pod.UID = fmt.Sprint("resident-", i), fmt.Sprint("resident-", i)
		pod.Token = g.podToken(t, bank, pod.Name)
	}) {
		require.Eventually(t, func() bool { return g.startOne(t.Context(), resident) == nil }, time.Minute, 10*time.Millisecond)
	}
	return g
}

// podToken is good, and bound to the node whose name the driver's certificate has.
func (g *guarded) podToken(t *testing.T, namespace, name string) string {
	t.Helper()
	signed, err := g.api.Sign(kubetest.Token{
		Namespace: namespace, ServiceAccount: "etl", Pod: name, PodUID: "uid-" + name, Node: "node", ID: name,
		Audiences: []string{auth.PodAudience}, Expires: time.Now().Add(24 * time.Hour),
	})
	require.NoError(t, err)
	return signed.Reveal()
}

// forged say all that good ones do, and which key has signed them; another has.
func (g *guarded) forged(t *testing.T, count int) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tokens := make([]string, count)
	for i := range tokens {
		token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": kubetest.Audience, "aud": auth.PodAudience, "sub": "system:serviceaccount:bank:etl", "jti": fmt.Sprint(i), "exp": time.Now().Add(time.Hour).Unix(),
		})
		token.Header["kid"] = g.api.KeyID()
		tokens[i], err = token.SignedString(key)
		require.NoError(t, err)
	}
	return tokens
}

// tasks are good tokens of a task that may read what is there, which the attack does not ask for.
func (g *guarded) tasks(t *testing.T, count int) []string {
	t.Helper()
	tokens, err := g.Tokens(count, auth.Caller{Tenant: "evil", DAG: "evil"}, time.Hour)
	require.NoError(t, err)
	return tokens
}

func rubbish(count int) []string {
	tokens := make([]string, count)
	for i := range tokens {
		tokens[i] = fmt.Sprint("rubbish-", i)
	}
	return tokens
}

// refusedBytes are what the audit log has of refusals: records that neither allow nor tell an
// outcome.
func (g *guarded) refusedBytes(t *testing.T) (size int) {
	t.Helper()
	text, err := os.ReadFile(g.audit)
	require.NoError(t, err)
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(`"decision":"allowed"`)) && !bytes.Contains(line, []byte(`"outcome":`)) {
			size += len(line)
		}
	}
	return size
}

// recordsOf are the lines of the audit log that are about that tenant, and those of the outcomes of its calls.
func (g *guarded) recordsOf(t *testing.T, tenant string) (made []written) {
	t.Helper()
	text, err := os.ReadFile(g.audit)
	require.NoError(t, err)
	its := map[string]bool{}
	for line := range bytes.Lines(text) {
		var record audit.Record
		require.NoError(t, json.Unmarshal(line, &record))
		its[record.Request] = its[record.Request] || record.Tenant == tenant
		if its[record.Request] || record.Tenant == tenant { // a sum has no request
			made = append(made, written{record, len(line)})
		}
	}
	return made
}

// written is a record and what it takes.
type written struct {
	audit.Record
	bytes int
}

// greedyCalls is how many calls the greedy caller makes at a time. What is owed for them all is owed after all
// were let in.
const greedyCalls = 16

// One good token made 5.6 MB of records a second. Now it takes what it may at once, which is over sooner or later by
// how fast the machine is, and then so much a second: what is judged begins with the first call that is put off.
func TestAGoodTokenFillsNoAuditLog(t *testing.T) {
	g := newGuarded(t, "--node-binding=off")
	row := g.row("one good token that asks without pause", fmt.Sprintf("for all that it may read, %d calls at a time", greedyCalls), "core")
	row.least = 10 * time.Second
	row.run(t, func() {
		g.attack(t, "core", strangerOrders{Kind: "good", Address: g.Address(), CA: g.PKI.CA(), Tokens: g.tasks(t, 1)})
	})
	since := g.firstThrottled(t)
	pause(t, max(*length, row.least)/2-time.Since(since))
	atOnce, inFull, throttled, most := 0, 0, 0, 0
	lasted := time.Since(since).Seconds()
	for _, record := range g.recordsOf(t, "evil") {
		if record.Time.Before(since) {
			atOnce += record.bytes
			continue
		}
		inFull += record.bytes
		most = max(most, record.bytes)
		if record.Decision == audit.Throttled {
			throttled += max(record.Count, 1)
		}
	}
	// Besides there may be calls that were let in together, of two records each, and the refusals that begin an interval.
	assert.LessOrEqual(t, float64(inFull), auditRate*lasted+float64((2*greedyCalls+audit.InFull)*most), "bytes in %.1f s", lasted)
	assert.Greater(t, float64(inFull), audit.LongRun*lasted/2, "it was given nothing, so that nothing was shown")
	assert.Positive(t, throttled, "calls that were put off, of which the first are recorded one by one")
	row.note("its records took %.1f MB at first, and then %.1f KB a second, those of its refusals too; core had %d MiB at most",
		float64(atOnce)/1e6, float64(inFull)/lasted/1000, g.core.peak(t)>>20)
	row.record(t)
}

// firstThrottled is when a caller was put off for the first time, which has yet to come where the machine is slow.
func (g *guarded) firstThrottled(t *testing.T) (at time.Time) {
	t.Helper()
	throttled := []byte(`"decision":"` + string(audit.Throttled) + `"`)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(g.audit) // "" has none
		for line := range bytes.Lines(text) {
			var record audit.Record
			if bytes.Contains(line, throttled) && json.Unmarshal(line, &record) == nil {
				at = record.Time
				return true
			}
		}
		return false
	}, 2*time.Minute, time.Second)
	return at
}

func TestCoreUnderAttack(t *testing.T) {
	const open = "--node-binding=off" // so that who has no right gets further
	for _, attack := range []struct {
		name, how string
		coreArgs  []string
		orders    func(t *testing.T, g *guarded) strangerOrders
		beside    func(t *testing.T, g *guarded) // what else happens meanwhile
	}{
		{"no attack: a process that only burns its CPU", "what the attackers' own half of a CPU costs the others", nil, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "burn"}
		}, nil},
		{"core's connections: idle", "TLS, without a word; 3,400 at a time", nil, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "idle"}
		}, nil},
		{"core's connections: half-open", "TCP alone; 10,000 at a time", nil, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "half-open"}
		}, nil},
		{"tokens that are rubbish", "1,000 in a call, over and over", []string{open}, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "tokens", Tokens: rubbish(1000)}
		}, nil},
		{"forged pod tokens", "200 in a call, which name the cluster's key", []string{open}, func(t *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "tokens", Tokens: g.forged(t, 200)}
		}, nil},
		{"tokens stolen from this node's pods", "100 in a call, from elsewhere", nil, func(t *testing.T, g *guarded) strangerOrders {
			stolen := make([]string, 100)
			for i := range stolen {
				stolen[i] = g.podToken(t, bank, fmt.Sprint("resident-", i))
			}
			return strangerOrders{Kind: "other calls", Tokens: stolen}
		}, nil},
		{"the largest calls that may be", "64 good tokens times 1,024 absent names, 16 at a time", []string{open}, func(t *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "large", Tokens: g.tasks(t, 64)}
		}, nil},
		{"calls that are never finished", "32 connections of 30 half-sent messages, with a good token", []string{open}, func(t *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "unfinished", Tokens: g.tasks(t, 1)}
		}, nil},
		{"answers that nobody reads", "32 connections of 32 large ones, with good tokens", []string{open}, func(t *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "unread", Tokens: g.tasks(t, 64)}
		}, nil},
		{"answers that nobody reads beside files that change", "the same, while files as large as core takes them are replaced each second", []string{open}, func(t *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "unread", Tokens: g.tasks(t, 64)}
		}, replaceFiles},
		{"HTTP/2: rapid resets", "8 connections", nil, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "resets"}
		}, nil},
		{"HTTP/2: headers without end", "8 connections of continuations", nil, func(*testing.T, *guarded) strangerOrders {
			return strangerOrders{Kind: "continue"}
		}, nil},
		{"watches: ten thousand from one address", "with a node's certificate", nil, func(_ *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "watches", Cert: filepath.Join(g.Dir, "node.crt"), Key: filepath.Join(g.Dir, "node.key")}
		}, nil},
		{"watches: begun and left again and again", "8 connections, with a node's certificate", nil, func(_ *testing.T, g *guarded) strangerOrders {
			return strangerOrders{Kind: "re-watch", Cert: filepath.Join(g.Dir, "node.crt"), Key: filepath.Join(g.Dir, "node.key")}
		}, nil},
	} {
		t.Run(attack.name, func(t *testing.T) {
			g := newGuarded(t, attack.coreArgs...)
			orders := attack.orders(t, g)
			orders.Address, orders.CA = g.Address(), g.PKI.CA()
			row := g.row(attack.name, attack.how, "core")
			before := 0
			row.run(t, func() {
				before = g.refusedBytes(t)
				if attack.beside != nil {
					attack.beside(t, g)
				}
				g.attack(t, "core", orders)
			})
			rate := (g.refusedBytes(t) - before) / int(length.Seconds())
			assert.LessOrEqual(t, rate, auditRate, "bytes of refusals a second in the audit log")
			row.note("core had %d MiB at most; its audit log took %.1f KB a second of refusals", g.core.peak(t)>>20, float64(rate)/1000)
			row.record(t)
		})
	}
}

// replaceFiles has core read a file of nearly as much as it takes, by its entries and by its bytes in turn, each
// second until the test ends.
func replaceFiles(t *testing.T, g *guarded) {
	t.Helper()
	many := func(count int, entry string) string {
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, `,"conn_%d":`+entry, i, time.Now().UnixNano())
		}
		return "{" + text.String()[1:] + "}"
	}
	fields := `"conn_type":"http","host":"there","login":"etl","schema":"main","port":1,"extra":{"a":1,"b":2,"c":3,"d":"` + strings.Repeat("x", 300) + `"}`
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for turn := 0; ctx.Err() == nil; turn++ {
			content := many(26_000, `"http://%d"`)
			if turn%2 == 1 {
				content = many(9_800, `{"password":"%d",`+fields+`}`)
			}
			assert.NoError(t, g.WriteConnections(content))
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		output := g.Core.Output()
		assert.GreaterOrEqual(t, strings.Count(output, "files have changed"), 2, "core took too few files for its memory to be shown")
		assert.NotContains(t, output, "keeping what was last read")
	})
}
