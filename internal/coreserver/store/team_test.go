package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

const adminRules = `teams:
- {name: payments, namespaces: [payments]}
- {name: bank, namespaces: [bank], tenants: [bank], sources: [bank, ledger]}
rules:
- {namespaces: ["*"], serviceAccounts: ["*"], connections: [aws_default, shared, absent]}
`

func teamRules(ids string) string {
	return `rules: [{namespaces: ["*"], serviceAccounts: [worker], connections: [` + ids + "]}]\n"
}

// teams is a store of a folder of entries and one of rules, and its clock.
type teams struct {
	*Store
	t         testing.TB
	directory string
	now       time.Time
}

func newTeams(t testing.TB, pairs ...string) *teams {
	s := &teams{t: t, directory: t.TempDir(), now: time.Unix(1, 0)}
	s.write("rules/admin.yaml", adminRules, "rules/payments.yaml", teamRules("aws_default, own"), "rules/bank/bank.yaml", teamRules("aws_default, own"),
		"entries/connections.json", `{"aws_default": "aws://shared", "shared": "http://shared"}`,
		"entries/payments/connections.json", `{"aws_default": "aws://payments", "own": "http://payments"}`,
		"entries/bank.connections.yaml", "aws_default: aws://bank\n")
	s.write(pairs...)
	require.NoError(t, s.start(nil))
	return s
}

func (s *teams) start(change func(*Config)) (err error) {
	config := Config{
		Entries: filepath.Join(s.directory, "entries"), Rules: filepath.Join(s.directory, "rules"),
		Versioner: newVersioner(s.t, "shared"), Now: func() time.Time { return s.now },
	}
	if change != nil {
		change(&config)
	}
	s.Store, err = New(config)
	return err
}

// write replaces files, given as path, content; without a content a file is removed.
func (s *teams) write(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		file := filepath.Join(s.directory, pairs[i])
		if pairs[i+1] == "" {
			require.NoError(s.t, os.RemoveAll(file))
			continue
		}
		require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(s.t, os.WriteFile(file+".new", []byte(pairs[i+1]), 0o600))
		require.NoError(s.t, os.Rename(file+".new", file))
	}
}

func (s *teams) reload(pairs ...string) error {
	s.write(pairs...)
	_, err := s.Reload()
	return err
}

// gets is what the worker of a namespace gets for a connection: its host, or the answer.
func (s *teams) gets(namespace, id string) string {
	snapshot := s.Current()
	ruling := snapshot.Decide(snapshot.Rules.For(rule.Subject{Namespace: namespace, ServiceAccount: "worker"}), connection(id))
	if ruling.Answer != Given {
		return [...]string{Denied: "denied", Missing: "missing", Undecided: "undecided"}[ruling.Answer]
	}
	value, err := s.Open(ruling.Entry)
	if err != nil {
		return err.Error()
	}
	return *value.Connection.Host
}

func (s *teams) status(file string) Status {
	for _, status := range s.Status() {
		if status.File == filepath.Join(s.directory, file) {
			return status
		}
	}
	require.FailNow(s.t, "no status of "+file)
	return Status{}
}

func TestANamespaceChoosesItsTeamsEntryThenThatOfAll(t *testing.T) {
	s := newTeams(t)
	for _, row := range []struct{ namespace, id, want string }{
		{"payments", "aws_default", "payments"},
		{"bank", "aws_default", "bank"},
		{"nobodys", "aws_default", "shared"},
		{"payments", "shared", "shared"},
		{"payments", "own", "payments"},
		{"bank", "own", "missing"}, // its own rule allows it, and it has none
		{"nobodys", "own", "denied"},
		{"payments", "absent", "missing"},
		{"payments", "elsewhere", "denied"},
	} {
		assert.Equal(t, row.want, s.gets(row.namespace, row.id), row)
	}
	// A team's entry is not everybody's of the team.
	require.NoError(t, s.reload("rules/payments.yaml", teamRules("own")))
	assert.Equal(t, "denied", s.gets("payments", "aws_default"), "and that of all is another")
}

// Who asks without a driver is told of one only where it would help: no rule about the entries of all lets a team's own
// be read.
func TestADriverIsNamedOnlyWhereItWouldHelp(t *testing.T) {
	s := newTeams(t, "rules/payments.yaml", teamRules("own"))
	detail := func(id string) string {
		snapshot := s.Current()
		self := rule.Subject{Namespace: "payments", ServiceAccount: "worker", Direct: true}
		return snapshot.Decide(snapshot.Rules.For(self), connection(id)).Detail
	}
	const withDriver = " without a driver between; one that may has direct: true"
	assert.Equal(t, "no rule of the team lets this caller read it", detail("aws_default"), "which is payments' own")
	assert.Equal(t, "no rule of the team lets this caller read it"+withDriver, detail("own"))
	assert.Equal(t, "no rule lets this caller read it"+withDriver, detail("shared"))
	assert.Equal(t, "no rule lets this caller read it", detail("none"))
}

func TestABrokenFileStopsOnlyItself(t *testing.T) {
	s := newTeams(t)
	s.now = s.now.Add(time.Hour)
	err := s.reload("rules/payments.yaml", "rules: [n33dle", "entries/payments/connections.json", `{"own": n33dle`,
		"rules/bank/bank.yaml", teamRules("own"))
	assert.ErrorContains(t, err, "payments.yaml:1: is not YAML")
	assert.ErrorContains(t, err, "payments/connections.json:1: is ")
	assert.NotContains(t, err.Error(), "n33dle")
	assert.Equal(t, "payments", s.gets("payments", "own"), "the last good state stays in force")
	assert.Equal(t, "denied", s.gets("bank", "aws_default"), "and the other team's revocation is in force")

	broken := s.status("rules/payments.yaml")
	assert.Equal(t, "payments", broken.Team)
	assert.Equal(t, s.now, broken.Since)
	assert.Equal(t, s.now.Add(-time.Hour), broken.ReadAt)
	assert.Contains(t, broken.Fault, "is not YAML")
	assert.Empty(t, s.status("rules/bank/bank.yaml").Fault)
	since := s.now
	s.now = s.now.Add(time.Hour)
	require.NoError(t, s.reload(), "one fault is told once")
	assert.Equal(t, since, s.status("rules/payments.yaml").Since)
	require.NoError(t, s.reload("rules/payments.yaml", teamRules("aws_default"), "entries/payments/connections.json", `{"aws_default": "aws://payments2"}`))
	assert.Empty(t, s.status("rules/payments.yaml").Fault)
	assert.Equal(t, "payments2", s.gets("payments", "aws_default"))
	assert.Equal(t, "denied", s.gets("payments", "own"))
}

// A core that starts while a team's file is broken serves all others, and takes nothing of
// that team's away: what it would have is not known.
func TestACoreStartsBesideABrokenTeam(t *testing.T) {
	s := newTeams(t)
	for _, row := range []struct{ file, own, shared string }{
		{"entries/payments/connections.json", "undecided", "undecided"},
		{"rules/payments.yaml", "undecided", "shared"},
	} {
		s.write("entries/payments/connections.json", `{"own": "http://payments"}`, "rules/payments.yaml", teamRules("own"))
		s.write(row.file, "{")
		require.NoError(t, s.start(nil))
		require.ErrorContains(t, s.reload(), row.file)
		require.NoError(t, s.reload(), "told once")
		assert.Equal(t, row.own, s.gets("payments", "own"), row.file)
		assert.Equal(t, row.shared, s.gets("payments", "aws_default"), row.file)
		assert.Equal(t, "denied", s.gets("payments", "elsewhere"), row.file)
		assert.Equal(t, "bank", s.gets("bank", "aws_default"), row.file)
		snapshot := s.Current()
		_, err := snapshot.Readable(snapshot.Rules.For(rule.Subject{Namespace: "payments", ServiceAccount: "worker"}), entry.Connection)
		assert.ErrorContains(t, err, `of team "payments" are not known`, row.file)
		names, err := snapshot.Readable(snapshot.Rules.For(rule.Subject{Namespace: "bank", ServiceAccount: "worker"}), entry.Connection)
		require.NoError(t, err)
		assert.Equal(t, []entry.Name{connection("aws_default"), connection("shared")}, names)
	}
	s.write("entries/payments/connections.json", "{", "rules/payments.yaml", "{")
	require.NoError(t, s.start(nil))
	assert.Equal(t, "undecided", s.gets("payments", "own"))

	s.write("entries/payments/connections.json", `{"own": "http://payments"}`, "rules/payments.yaml", teamRules("own"), "rules/admin.yaml", "{}")
	assert.ErrorContains(t, s.start(nil), "admin.yaml:1: no rules", "without the admin's own there is no core")
	s.write("rules/admin.yaml", adminRules, "entries/connections.json", "{}")
	assert.ErrorContains(t, s.start(nil), "entries/connections.json: has no entries; where that is meant, give --allow-empty")
}

func TestATeamWithoutAFileHasToSaySo(t *testing.T) {
	s := newTeams(t, "entries/bank.connections.yaml", "")
	assert.Equal(t, "undecided", s.gets("bank", "aws_default"))
	require.NoError(t, s.reload("rules/admin.yaml", strings.Replace(adminRules, "sources: [bank, ledger]", "sources: []", 1)))
	assert.Equal(t, "shared", s.gets("bank", "aws_default"))
	s.write("rules/admin.yaml", adminRules)
	require.NoError(t, s.start(func(config *Config) { config.AllowEmpty = true }))
	assert.Equal(t, "shared", s.gets("bank", "aws_default"))
}

func TestAFileThatLosesEverythingStaysAsItWas(t *testing.T) {
	for name, break_ := range map[string]func(s *teams, file string){
		"no entries":     func(s *teams, file string) { s.write(file, "{}") },
		"empty":          func(s *teams, file string) { require.NoError(s.t, os.Truncate(filepath.Join(s.directory, file), 0)) },
		"removed":        func(s *teams, file string) { s.write(file, "") },
		"folder removed": func(s *teams, file string) { s.write(filepath.Dir(file), "") },
		"a folder": func(s *teams, file string) {
			s.write(file, "")
			require.NoError(s.t, os.Mkdir(filepath.Join(s.directory, file), 0o700))
		},
		"a FIFO": func(s *teams, file string) {
			s.write(file, "")
			require.NoError(s.t, syscall.Mkfifo(filepath.Join(s.directory, file), 0o600))
		},
		"another team's, by a link": func(s *teams, file string) {
			s.write(file, "")
			require.NoError(s.t, os.Symlink("../bank.connections.yaml", filepath.Join(s.directory, file)))
		},
		"a link into nowhere": func(s *teams, file string) {
			s.write(file, "")
			require.NoError(s.t, os.Symlink("nowhere", filepath.Join(s.directory, file)))
		},
		"16 MiB": func(s *teams, file string) { s.write(file, `{"own": "http://`+strings.Repeat("h", 16<<20)+`"}`) },
		"thousands of files": func(s *teams, file string) {
			for i := range maxFiles + 1 {
				s.write(fmt.Sprintf("%s/%d.connections.json", filepath.Dir(file), i), `{"x": "a://b"}`)
			}
		},
		"thousands of entries": func(s *teams, file string) {
			var many strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&many, `,"v%d":"a://b"`, i)
			}
			s.write(file, `{"own": "http://payments"`+many.String()+`}`)
		},
		"another's entry": func(s *teams, file string) { s.write(file, `{"x": "a://b"`) },
		"no known suffix": func(s *teams, file string) { s.write(file, "", filepath.Dir(file)+"/connections.toml", "x") },
		"not UTF-8":       func(s *teams, file string) { s.write(file, `{"own": "http://`+"\xff"+`"}`) },
		"a name of no kind": func(s *teams, file string) {
			s.write(file, "", filepath.Dir(file)+"/conections.json", `{"own": "a://b"}`)
		},
		"a folder in a file": func(s *teams, file string) {
			s.write(filepath.Dir(file), "", filepath.Dir(file)+"/x/connections.json", "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTeams(t)
			s.now = s.now.Add(time.Hour)
			break_(s, "entries/payments/connections.json")
			require.Error(t, s.reload("rules/bank/bank.yaml", teamRules("own")))
			assert.Equal(t, "payments", s.gets("payments", "own"))
			assert.Equal(t, "payments", s.gets("payments", "aws_default"))
			assert.Equal(t, "denied", s.gets("bank", "aws_default"), "a revocation beside it is in force")
			if name != "thousands of files" {
				assert.Equal(t, s.now, s.status("entries/payments/connections.json").Since)
			}
			require.NoError(t, s.reload("rules/payments.yaml", teamRules("aws_default")), "a fault is told once")
			assert.Equal(t, "denied", s.gets("payments", "own"), "what is really to go is one line of the rules")
		})
	}
}

func TestARuleFileRemovedIsARevocation(t *testing.T) {
	s := newTeams(t)
	require.NoError(t, s.reload("rules/payments.yaml", ""))
	assert.Equal(t, "denied", s.gets("payments", "own"))
	require.NoError(t, s.reload("rules/bank", ""))
	assert.Equal(t, "denied", s.gets("bank", "aws_default"))
}

// A folder of rules that has gone, or lost the admin's own file, is an accident.
func TestAFolderOfRulesThatHasGoneChangesNothing(t *testing.T) {
	for _, gone := range []string{"rules", "rules/admin.yaml"} {
		s := newTeams(t)
		require.NoError(t, os.Rename(filepath.Join(s.directory, "rules/payments.yaml"), filepath.Join(s.directory, "kept")))
		s.write(gone, "")
		assert.Error(t, s.reload())
		assert.Equal(t, "payments", s.gets("payments", "own"))
		assert.NotEmpty(t, s.status("rules").Fault)
	}
}

func TestDenyTakesAwayFromAllAtOnce(t *testing.T) {
	s := newTeams(t)
	require.NoError(t, s.reload("rules/admin.yaml", adminRules+"deny: [{connections: [aws_default]}]\n"))
	for _, namespace := range []string{"payments", "bank", "nobodys"} {
		assert.Equal(t, "denied", s.gets(namespace, "aws_default"))
	}
	assert.Equal(t, "payments", s.gets("payments", "own"))
}

func TestATeamThatIsTakenAwayHasNothing(t *testing.T) {
	s := newTeams(t)
	err := s.reload("rules/admin.yaml", strings.Replace(adminRules, "- {name: payments, namespaces: [payments]}\n", "", 1))
	assert.ErrorContains(t, err, `payments.yaml: there is no team "payments" in the admin's file`)
	assert.ErrorContains(t, err, `"payments" is a source of no team in the admin's file`)
	assert.Equal(t, "denied", s.gets("payments", "own"))
	assert.Equal(t, "shared", s.gets("payments", "aws_default"))
}

func TestNamespacesAndSourcesFollowTheAdminsFile(t *testing.T) {
	s := newTeams(t, "entries/ledger/connections.json", `{"own": "http://ledger"}`)
	assert.Equal(t, "ledger", s.gets("bank", "own"))
	moved := strings.NewReplacer("[bank, ledger]", "[bank]", "namespaces: [bank]", "namespaces: [vault]", "[payments]}", "[payments], sources: [ledger]}")
	err := s.reload("rules/admin.yaml", moved.Replace(adminRules))
	assert.ErrorContains(t, err, `payments/connections.json: "payments" is a source of no team in the admin's file`)
	assert.Equal(t, "ledger", s.gets("payments", "own"))
	assert.Equal(t, "shared", s.gets("payments", "aws_default"))
	assert.Equal(t, "shared", s.gets("bank", "aws_default"))
	assert.Equal(t, "bank", s.gets("vault", "aws_default"))
	assert.Equal(t, "missing", s.gets("vault", "own"))
}

// The team that had the source before could read what was last read of its file, whatever the admin's file
// said, as long as the file was broken; and the team itself lost everything by another name.
func TestASourceFollowsTheAdminsFileAlsoWhileItIsBroken(t *testing.T) {
	const file = "entries/ledger/connections.json"
	for name, content := range map[string]string{"broken": `{"own": n33dle`, "gone": "", "empty": "{}", "whole": `{"own": "http://ledger"}`} {
		s := newTeams(t, file, `{"own": "http://ledger"}`, "entries/payments/connections.json", `{"aws_default": "aws://payments"}`)
		before := s.Current()
		assert.Equal(t, "ledger", s.gets("bank", "own"))
		assert.Equal(t, "missing", s.gets("payments", "own"))
		moved := strings.NewReplacer("[bank, ledger]", "[bank]", "[payments]}", "[payments], sources: [payments, ledger]}").Replace(adminRules)
		err := s.reload(file, content, "rules/admin.yaml", moved)
		assert.Equal(t, name == "whole", err == nil, name)
		assert.Equal(t, "missing", s.gets("bank", "own"), name)
		assert.Equal(t, "ledger", s.gets("payments", "own"), name)
		_, still := before.Lookup("bank", connection("own"))
		assert.True(t, still, "a snapshot never changes")

		renamed := strings.ReplaceAll(moved, "name: payments", "name: finance")
		require.NoError(t, s.reload("rules/admin.yaml", renamed, "rules/payments.yaml", "", "rules/finance.yaml", teamRules("own")))
		assert.Equal(t, "ledger", s.gets("payments", "own"), name)
	}
}

func TestAnEntryMayNameItsTeam(t *testing.T) {
	s := newTeams(t, "entries/connections.json", `{"aws_default": "aws://shared",
"team": {"conn_type": "http", "host": "named", "team_name": "payments"},
"lost": {"conn_type": "http", "host": "lost", "team_name": "nobody"}}`,
		"entries/bank.connections.yaml", "own: {conn_type: http, host: bank, team_name: payments}\naws_default: aws://bank\n",
		"rules/payments.yaml", teamRules("team, own"))
	assert.Equal(t, "named", s.gets("payments", "team"))
	assert.Equal(t, "denied", s.gets("bank", "team"))
	assert.Equal(t, "payments", s.gets("payments", "own"), "no file of another team's touches it")
	assert.Equal(t, `field "team_name": is "payments", and stands in a file of team "bank"; remove it`, s.gets("bank", "own"))
	_, found := s.Current().Lookup("", connection("lost"))
	assert.False(t, found)
	lost, _ := s.Current().Lookup("nobody", connection("lost"))
	assert.Equal(t, `is of team "nobody", and there is no such team in the admin's file`, lost.Invalid)
}

func TestAnIDOfTwoFilesIsInvalid(t *testing.T) {
	s := newTeams(t, "entries/payments/more.connections.json", "{\n\"own\": \"http://other\"}")
	said := s.gets("payments", "own")
	assert.Contains(t, said, "payments/connections.json:1 and in ")
	assert.Contains(t, said, "payments/more.connections.json:2; keep one")
	assert.Equal(t, "payments", s.gets("payments", "aws_default"))
	// One of two files of a kind may go: its entries are moved.
	require.NoError(t, s.reload("entries/payments/more.connections.json", ""))
	assert.Equal(t, "payments", s.gets("payments", "own"))
	require.NoError(t, s.reload("entries/payments/connections.yaml", "own: http://moved\n", "entries/payments/connections.json", ""))
	assert.Equal(t, "moved", s.gets("payments", "own"))
}

// Kubernetes mounts a Secret as links to a folder that it swaps.
func TestLinksOfAMountedSecretAreFollowed(t *testing.T) {
	s := newTeams(t, "entries/payments", "", "entries/bank.connections.yaml", "")
	for _, at := range []string{"entries/payments", "entries"} {
		name := map[string]string{"entries/payments": "connections.json", "entries": "bank.connections.json"}[at]
		s.write(at+"/..first/"+name, `{"own": "http://first"}`, at+"/..second/"+name, `{"own": "http://second"}`)
		require.NoError(t, os.Symlink("..first", filepath.Join(s.directory, at, "..data")))
		require.NoError(t, os.Symlink("..data/"+name, filepath.Join(s.directory, at, name)))
	}
	require.NoError(t, s.reload())
	assert.Equal(t, "first", s.gets("payments", "own"))
	assert.Equal(t, "first", s.gets("bank", "own"))
	for _, at := range []string{"entries/payments", "entries"} {
		require.NoError(t, os.Symlink("..second", filepath.Join(s.directory, at, "..new")))
		require.NoError(t, os.Rename(filepath.Join(s.directory, at, "..new"), filepath.Join(s.directory, at, "..data")))
	}
	require.NoError(t, s.reload())
	assert.Equal(t, "second", s.gets("payments", "own"))
	assert.Equal(t, "second", s.gets("bank", "own"))
}

// A projected volume has such links in the place of the teams' folders, too.
func TestLinksOfAProjectedVolumeAreFollowed(t *testing.T) {
	s := newTeams(t, "entries/payments", "", "entries/..first/payments/connections.json", `{"own": "http://projected"}`)
	require.NoError(t, os.Symlink("..first", filepath.Join(s.directory, "entries/..data")))
	require.NoError(t, os.Symlink("..data/payments", filepath.Join(s.directory, "entries/payments")))
	require.NoError(t, s.reload())
	assert.Equal(t, "projected", s.gets("payments", "own"))
}

func TestALinkToWhatIsCalledOtherwiseIsNotFollowed(t *testing.T) {
	const otherwise = "is a link to what is called otherwise"
	for _, link := range []struct{ at, to, message string }{
		{"entries/payments.connections.yaml", "bank.connections.yaml", otherwise},
		{"entries/ledger", "payments", otherwise},
		{"entries/ledger", "../entries/payments", "escapes"},
		{"rules/payments.yaml", "bank/bank.yaml", otherwise},
	} {
		s := newTeams(t, "entries/payments.connections.yaml", "", "rules/payments.yaml", "")
		require.NoError(t, os.Symlink(link.to, filepath.Join(s.directory, link.at)))
		assert.ErrorContains(t, s.reload(), link.message, link)
		assert.Equal(t, "missing", s.gets("bank", "own"), link)
	}
}

// A .env or YAML file that is written in place is read while half of it is there.
func TestAFileThatIsBeingWrittenIsReadAgain(t *testing.T) {
	s := newTeams(t, "entries/payments/connections.json", "", "entries/payments/connections.env", "own=http://payments\naws_default=aws://payments\n")
	inPlace := func(content string) {
		require.NoError(t, os.WriteFile(filepath.Join(s.directory, "entries/payments/connections.env"), []byte(content), 0o600))
		require.NoError(t, s.reload())
	}
	for _, half := range []string{"own=http://payments\n", "own=http://payments\naws_default=aws://pay"} {
		inPlace(half)
		assert.Equal(t, "payments", s.gets("payments", "aws_default"), half)
		assert.NotZero(t, s.ReadAgain())
		inPlace("own=http://payments\naws_default=aws://payments\n")
		assert.Zero(t, s.ReadAgain())
	}
	inPlace("own=http://payments\n")
	require.NotZero(t, s.ReadAgain())
	require.Error(t, s.reload("entries/payments/connections.env", ""))
	assert.Zero(t, s.ReadAgain(), "what is gone is not being written")
	require.NoError(t, s.reload("entries/payments/connections.env", "own=http://payments\naws_default=aws://payments\n"))
	inPlace("own=http://payments\n")
	s.now = s.now.Add(settling)
	inPlace("own=http://payments\n")
	assert.Equal(t, "shared", s.gets("payments", "aws_default"))
	assert.Equal(t, 1, s.status("entries/payments/connections.env").Entries)
	require.NoError(t, s.reload("entries/payments/connections.env", "own=http://payments\nx=a://b\n"))
	require.NoError(t, s.reload("entries/payments/connections.env", "own=http://payments\n"), "renamed, it is whole")
	assert.Zero(t, s.ReadAgain())
	assert.Equal(t, 1, s.status("entries/payments/connections.env").Entries)
}
