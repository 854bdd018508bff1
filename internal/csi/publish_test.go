package csi

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// breakage is one thing that is wrong with an otherwise valid publish.
type breakage struct {
	name    string
	breaks  func(request *csi.NodePublishVolumeRequest)
	code    codes.Code
	message string
}

// runBreakages publishes a good volume and then each broken one, and looks whether
// the good one is still good.
func runBreakages(t *testing.T, r *rig, rows []breakage) {
	stillGood := r.publishGood(t, "good")
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			volumeID := fmt.Sprintf("bad-%d", i)
			request := r.publishRequest(volumeID)
			row.breaks(request)
			err := r.publish(t, request)
			assert.Equal(t, row.code.String(), status.Code(err).String())
			assert.Equal(t, row.message, status.Convert(err).Message())
			assert.NoFileExists(t, filepath.Join(r.target(volumeID), "manifest.json"))
			stillGood()
		})
	}
}

func written(name, text string) func(*csi.NodePublishVolumeRequest) {
	return func(request *csi.NodePublishVolumeRequest) { request.VolumeContext[name] = text }
}

func TestPublishRefusesBadRequests(t *testing.T) {
	type request = csi.NodePublishVolumeRequest
	runBreakages(t, newRig(t), []breakage{
		{"no volume id", func(r *request) { r.VolumeId = "" }, codes.InvalidArgument,
			"volume_id is missing"},
		{"long volume id", func(r *request) { r.VolumeId = strings.Repeat("v", 129) }, codes.InvalidArgument,
			"volume_id has 129 bytes; CSI allows 128"},
		{"no target path", func(r *request) { r.TargetPath = "" }, codes.InvalidArgument,
			"target_path is missing"},
		{"relative target path", func(r *request) { r.TargetPath = "pods/mount" }, codes.InvalidArgument,
			`target_path is not an absolute, clean path`},
		{"target path that climbs", func(r *request) { r.TargetPath = "/pods/../etc" }, codes.InvalidArgument,
			`target_path is not an absolute, clean path`},
		{"target path with a NUL", func(r *request) { r.TargetPath = "/pods/a\x00b" }, codes.InvalidArgument,
			`target_path is not an absolute, clean path`},
		{"no capability", func(r *request) { r.VolumeCapability = nil }, codes.InvalidArgument,
			"volume_capability is missing"},
		{"block volume", func(r *request) {
			r.VolumeCapability.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
		}, codes.InvalidArgument,
			"volume_capability is block, and secrets are files: use volumeMounts, not volumeDevices"},
		{"neither block nor mount", func(r *request) { r.VolumeCapability.AccessType = nil }, codes.InvalidArgument,
			"volume_capability has no access_type; only mount is served"},
		{"file system type", func(r *request) { r.VolumeCapability.GetMount().FsType = "ext4" }, codes.InvalidArgument,
			`volumes[].csi.fsType: "ext4" cannot be had, secrets live on tmpfs only; leave the field out`},
		{"mount flags", func(r *request) { r.VolumeCapability.GetMount().MountFlags = []string{"suid"} }, codes.InvalidArgument,
			"mount flags cannot be chosen; leave mountOptions out"},
		{"group", func(r *request) { r.VolumeCapability.GetMount().VolumeMountGroup = "staff" }, codes.InvalidArgument,
			`volume_mount_group "staff" is not a group id; it comes from spec.securityContext.fsGroup`},
		{"no group at all", func(r *request) { r.VolumeCapability.GetMount().VolumeMountGroup = "4294967295" }, codes.InvalidArgument,
			`volume_mount_group "4294967295" is not a group id; it comes from spec.securityContext.fsGroup`},
		{"not read-only", func(r *request) { r.Readonly = false }, codes.InvalidArgument,
			"volumes[].csi.readOnly: must be true; a pod cannot write to its secrets"},
		{"no pod info", func(r *request) { delete(r.VolumeContext, podUIDKey) }, codes.InvalidArgument,
			"kubelet did not say which pod this is for: set podInfoOnMount: true on CSIDriver secrets.csi.leoflow.io"},
		{"persistent volume", written(ephemeralKey, "false"), codes.InvalidArgument,
			"only inline volumes are served: write the volume under volumes[].csi of the pod, not as a PersistentVolume"},
	})
}

func TestPublishRefusesBadAttributes(t *testing.T) {
	const field = "volumes[].csi.volumeAttributes"
	invalid := func(name string, breaks func(*csi.NodePublishVolumeRequest), message string) breakage {
		return breakage{name, breaks, codes.InvalidArgument, message}
	}
	rows := []breakage{
		invalid("nothing", func(r *csi.NodePublishVolumeRequest) { r.VolumeContext = volumeContext(nil) },
			field+`: nothing is asked for; list ids under "connections" or "variables"`),
		invalid("misspelt", written("conections", "a"),
			field+`.conections: is not an attribute; did you mean "connections"?`),
		invalid("unknown", written("password", "hunter2"),
			field+`.password: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless`),
		invalid("provider", written("provider", "core"),
			field+`.provider: is not an attribute; it is called "source" now`),
		invalid("name that breaks lines", written("a\nb", ""),
			field+`["a\nb"]: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless`),
		invalid("very many mistakes", written("connections", strings.Repeat("*,", 98)+"a"),
			field+".connections: "+manyStars(20)+"and 78 more"),
		invalid("empty lists", func(r *csi.NodePublishVolumeRequest) {
			r.VolumeContext["connections"], r.VolumeContext["variables"] = "", " "
		},
			`volumes[].csi.volumeAttributes: nothing is asked for; list ids under "connections" or "variables"`),
		invalid("a comma alone", written("connections", ","),
			field+`.connections: item 1: it is empty; write ids with one comma between them; item 2: it is empty; write ids with one comma between them`),
		invalid("stray commas", written("connections", "a,, b,"),
			field+`.connections: item 2: it is empty; write ids with one comma between them; item 4: it is empty; write ids with one comma between them`),
		invalid("star among names", written("variables", "a, *"),
			field+`.variables: item 2: "*" asks for everything and stands alone, without ids and without "?"`),
		invalid("optional star", written("variables", "*?"),
			field+`.variables: item 1: "*" asks for everything and stands alone, without ids and without "?"`),
		invalid("question mark inside", written("connections", "a??"),
			field+`.connections: item 1: "a?" has a "?" inside; one "?" at the end makes an id optional`),
		invalid("duplicates", written("connections", "a, b, a, b?"),
			field+`.connections: item 3: "a" is listed before; item 4: "b" is listed before`),
		invalid("one id of two sources", written("connections", "a@core, b, a@file?"),
			field+`.connections: item 3: "a@core" and "a@file" are the same id; a pod has it from one source`),
		invalid("one id of the volume's source and of another", written("variables", "a, a@file"),
			field+`.variables: item 2: "a" and "a@file" are the same id; a pod has it from one source`),
		invalid("a source twice", written("connections", "a@file, a@file"),
			field+`.connections: item 2: "a@file" is listed before`),
		invalid("source that is not there", written("connections", "a@vault"),
			field+`.connections: item 1: "a@vault": the source "vault" cannot be had here; there is core, file`),
		invalid("no source after @", written("variables", "a@"),
			field+`.variables: item 1: "a@": the source "" cannot be had here; there is core, file`),
		invalid("no id before @", written("variables", "@file"),
			field+`.variables: item 1: it is empty; write ids with one comma between them`),
		invalid("question mark before the source", written("connections", "a?@file"),
			field+`.connections: item 1: "a?@file" has the "?" before the source; write "a@file?"`),
		invalid("star of a source", written("connections", "*@file"),
			field+`.connections: item 1: "*" asks for everything that the volume's source has, and names no other; write "*" with the attribute "source"`),
		invalid("two sources", written("connections", "a@core@file"),
			field+`.connections: item 1: checking conn_id "a@core": character '@' at byte 2 is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \`),
		invalid("differ in case", written("connections", "Db, db"),
			field+`.connections: item 2: "Db" and "db" both become AIRFLOW_CONN_DB; a pod can have one of them`),
		// So no two sources bring the same variable: delivery does not look for that.
		invalid("differ in case, of two sources", written("variables", "Db, db@file"),
			field+`.variables: item 2: "Db" and "db@file" both become AIRFLOW_VAR_DB; a pod can have one of them`),
		invalid("star beside another source's", written("variables", "*, db@file"),
			field+`.variables: item 1: "*" asks for everything and stands alone, without ids and without "?"`),
		invalid("pasted connection", written("connections", "postgres://u:"+warehousePassword+"@h/d"),
			field+`.connections: item 1: it looks like a connection; write its id, and change the password if there was one`),
		invalid("pasted connection with a comma in its password", written("connections", "a, postgres://u:x,"+warehousePassword+"@h/d"),
			field+`.connections: item 2: it looks like a connection; write its id, and change the password if there was one`),
		invalid("pasted connection without its scheme", written("connections", "a, u:"+warehousePassword+"@h"),
			field+`.connections: item 2: it looks like a connection; write its id, and change the password if there was one`),
		invalid("pasted DSN", written("connections", "host=h password="+warehousePassword),
			field+`.connections: item 1: it looks like a connection; write its id, and change the password if there was one`),
		invalid("pasted connection in JSON", written("connections", `{"conn_type": "http", "password": "`+warehousePassword+`"}`),
			field+`.connections: item 1: it looks like a connection; write its id, and change the password if there was one`),
		invalid("no name", written("", "a"), field+`[""]: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless`),
		invalid("white space inside", written("connections", "a b"),
			field+`.connections: item 1: checking conn_id "a b": character ' ' at byte 2 is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \; write a comma between two ids`),
		invalid("white space after an id", written("variables", "region ?, b @file"),
			field+`.variables: item 1: "region ?" has white space after the id; take it out; item 2: "b @file" has white space after the id; take it out`),
		invalid("a pattern", written("variables", "batch_*?"),
			field+`.variables: item 1: "batch_*" is a pattern, which only core's rules take; list the ids, or write "*" alone for all`),
		invalid("a letter away from another attribute", written("pod", "a"),
			field+`.pod: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless`),
		invalid("NUL", written("connections", "a\x00b"),
			field+`.connections: item 1: checking conn_id "a\x00b": character '\x00' at byte 2 is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \`),
		invalid("newline", written("variables", "a\nb"),
			field+`.variables: item 1: checking variable key "a\nb": character '\n' at byte 2 cannot stand in the name of an environment variable; write a comma between two ids`),
		invalid("251 characters", written("variables", strings.Repeat("k", 251)),
			field+`.variables: item 1: checking variable key: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"… has 251 characters; Airflow holds 250`),
		invalid("1001 ids", written("variables", strings.Repeat("k,", 1000)+"k"),
			field+`.variables: lists 1001 ids; 1000 is the most`),
		invalid("ids too long together", written("variables", longIDs(1000, "𐐷")),
			field+`.variables: has 991999 bytes; 262144 is the most: ask for fewer entries, or give them shorter ids`),
		invalid("source", written("source", "vault"),
			field+`.source: "vault" cannot be had here; there is core, file`),
		invalid("format", written("format", "yaml"),
			field+`.format: "yaml" cannot be had here; there is uri, json`),
		invalid("mode that is no number", written("mode", "rw"),
			field+`.mode: "rw" is not an octal mode; write it like "0440"`),
		invalid("mode that is decimal", written("mode", "288"),
			field+`.mode: "288" is not an octal mode; write it like "0440"`),
		invalid("mode with more than permissions", written("mode", "4440"),
			field+`.mode: "4440" has bits other than permissions; write it like "0440"`),
		invalid("mode that lets nobody read", written("mode", "0222"),
			field+`.mode: "0222" lets nobody read; write it like "0440"`),
		invalid("refresh that is no duration", written("refresh", "soon"),
			field+`.refresh: "soon" is not a duration; write it like "90s" or "5m"`),
		invalid("refresh too short", written("refresh", "1s"),
			field+`.refresh: "1s" is out of range; it may be 5s to 24h0m0s`),
		invalid("keyless and not asked for", written("keyless", "warehouse, gcp_default"),
			field+`.keyless: item 2: "gcp_default" is not listed under "connections"; list it there, too, or leave it out`),
		invalid("keyless of a source", written("keyless", "warehouse@core"),
			field+`.keyless: item 1: "warehouse@core" names a source; write the id alone, as its source stands under "connections"`),
		invalid("keyless twice", written("keyless", "warehouse, warehouse"),
			field+`.keyless: item 2: "warehouse" is listed before`),
		invalid("several mistakes", func(r *csi.NodePublishVolumeRequest) {
			r.VolumeContext["mode"], r.VolumeContext["format"] = "rw", "yaml"
		}, field+`.format: "yaml" cannot be had here; there is uri, json; `+field+`.mode: "rw" is not an octal mode; write it like "0440"`),
	}
	runBreakages(t, newRig(t), rows)
}

// TestANodeBoundsTheIDsOfNewVolumes leaves alone those that are live: what was allowed when they
// began must not break them.
func TestANodeBoundsTheIDsOfNewVolumes(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.Driver.MaxIDs = 100 })
	many := func(volumeID string, count int) *csi.NodePublishVolumeRequest {
		request := r.publishRequest(volumeID)
		delete(request.VolumeContext, "connections")
		ids := make([]string, count)
		for i := range ids {
			ids[i] = "k" + strconv.Itoa(i) + "?"
		}
		request.VolumeContext["variables"] = strings.Join(ids, ",")
		return request
	}
	err := r.publish(t, many("new", 120))
	assert.Equal(t, codes.InvalidArgument.String(), status.Code(err).String())
	assert.Equal(t, "volumes[].csi.volumeAttributes: 120 ids are listed, and this node lets a volume list 100; ask for what the task uses, or have --max-ids raised", status.Convert(err).Message())
	require.NoError(t, r.publish(t, many("live", 100)))
	t.Cleanup(func() { r.unpublishQuietly(many("live", 100)) })
	require.NoError(t, r.publish(t, many("live", 120)))
	assert.NotContains(t, r.logs.String(), "kept the live volume as it is", "its token is taken in")
}

// longIDs is a list of different ids, each as long as ids may be.
func longIDs(count int, letter string) string {
	ids := make([]string, count)
	for i := range ids {
		number := fmt.Sprintf("%03d", i)
		ids[i] = strings.Repeat(letter, 250-len(number)) + number
	}
	return strings.Join(ids, ",")
}

// What the attributes let through, core's client sends: with the longest token that
// there may be, it is within a message.
// TestNoneOfAKind is what templates write that have ids of one kind alone.
func TestNoneOfAKind(t *testing.T) {
	files := map[string]string{"connections": "connections/warehouse", "variables": "variables/region"}
	for kind, other := range map[string]string{"connections": "variables", "variables": "connections"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t)
			request := r.publishRequest("some")
			request.VolumeContext[kind] = ""
			require.NoError(t, r.publish(t, request))
			assert.NoFileExists(t, filepath.Join(r.target("some"), files[kind]))
			assert.FileExists(t, filepath.Join(r.target("some"), files[other]))
		})
	}
}

func TestTheLargestRequestIsOneMessage(t *testing.T) {
	ids := longIDs(1000, "k")
	volume, err := parseAttributes(map[string]string{"connections": ids, "variables": ids}, []string{CoreProvider})
	require.NoError(t, err)
	assert.Len(t, volume.Connections.Names, 1000)
	const perID, mostMessage = 4, 1 << 20
	assert.Less(t, 2*(attribute.MaxBytes+attribute.MaxIDs*perID)+maxToken, mostMessage)
}

func manyStars(count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, `item %d: "*" asks for everything and stands alone, without ids and without "?"; `, i+1)
	}
	return text.String()
}

func TestPublishRefusesBadTokens(t *testing.T) {
	type request = csi.NodePublishVolumeRequest
	r := newRig(t)
	const howTo = `kubelet sent no token for audience "leoflow-core": list that audience under tokenRequests of CSIDriver secrets.csi.leoflow.io, or name a Secret with the key "token" in volumes[].csi.nodePublishSecretRef`
	r.provider.RefuseToken(secret.New(taskToken))
	runBreakages(t, r, []breakage{
		{"none", func(r *request) { r.Secrets = nil }, codes.Unauthenticated, howTo},
		{"for others only", func(r *request) {
			r.Secrets[tokensKey] = `{"vault": {"token": "` + podToken + `"}}`
		}, codes.Unauthenticated, howTo},
		{"empty", func(r *request) { r.Secrets[tokensKey] = `{"leoflow-core": {"token": ""}}` }, codes.Unauthenticated, howTo},
		{"not JSON", func(r *request) { r.Secrets[tokensKey] = podToken }, codes.InvalidArgument,
			"csi.storage.k8s.io/serviceAccount.tokens is not what kubelet writes there: a JSON object of tokens by audience"},
		{"not a header", func(r *request) { r.Secrets[tokensKey] = `{"leoflow-core": {"token": "a\nb"}}` }, codes.InvalidArgument,
			`csi.storage.k8s.io/serviceAccount.tokens: the token for audience "leoflow-core" has characters that no token has`},
		{"Secret without the key", func(r *request) { r.Secrets["jwt"] = taskToken }, codes.InvalidArgument,
			`volumes[].csi.nodePublishSecretRef: the Secret has no key "token"`},
		{"Secret with an empty key", func(r *request) { r.Secrets["token"] = " \n" }, codes.InvalidArgument,
			`volumes[].csi.nodePublishSecretRef: the key "token" of the Secret is empty`},
		{"Secret with something else", func(r *request) { r.Secrets["token"] = "two words" }, codes.InvalidArgument,
			`volumes[].csi.nodePublishSecretRef: the key "token" of the Secret is not a token: it has characters that no token has`},
		{"Secret with a heap", func(r *request) { r.Secrets["token"] = strings.Repeat(taskToken, 1000) }, codes.InvalidArgument,
			`volumes[].csi.nodePublishSecretRef: the key "token" of the Secret is not a token: it has 22000 bytes; 16384 is the most`},
		{"a heap for another audience", func(r *request) {
			r.Secrets[tokensKey] = `{"leoflow-core": {"token": "` + podToken + `"}, "vault": {"token": "` + strings.Repeat("x", 16385) + `"}}`
		}, codes.InvalidArgument,
			`csi.storage.k8s.io/serviceAccount.tokens: the token for audience "vault" has 16385 bytes; 16384 is the most`},
		{"refused by core", func(r *request) { r.Secrets["token"] = taskToken }, codes.Unauthenticated,
			"core refused the token of service account airflow/worker: asking the fake: unauthenticated"},
	})
}

func TestPublishReportsTheProvider(t *testing.T) {
	r := newRig(t)
	r.provider.Deny("worker", entry.Name{Kind: entry.Connection, ID: "payroll"})
	r.provider.Break(entry.Name{Kind: entry.Variable, ID: "broken"}, "its extra is not JSON")
	r.provider.SetVariable("nul", "a\x00b")
	r.provider.SetVariable("big", strings.Repeat("x", volumeSize))
	runBreakages(t, r, []breakage{
		{"missing and denied", func(r *csi.NodePublishVolumeRequest) {
			r.VolumeContext["connections"], r.VolumeContext["variables"] = "ghost, payroll, warehouse", "phantom, region, absent?"
		}, codes.PermissionDenied,
			`connection "ghost" does not exist in core; connection "payroll" is denied to service account airflow/worker by core; variable "phantom" does not exist in core (have it allowed, create it or correct its id; with "?" after its id the pod starts without it)`},
		{"missing", written("connections", "ghost"), codes.NotFound,
			`connection "ghost" does not exist in core (create it, or correct its id; with "?" after its id the pod starts without it)`},
		{"very many missing", written("variables", strings.Join(missingIDs(500), ",")), codes.NotFound,
			`500 variables not in core: "missing000", "missing001", "` + strings.Join(missingIDs(54)[2:], `", "`) +
				`" and 446 more (create it, or correct its id; with "?" after its id the pod starts without it)`},
		{"keyless with a password", written("keyless", "warehouse"), codes.FailedPrecondition,
			`connection "warehouse" cannot be delivered: it is listed under "keyless": its type is none of a cloud whose identities this node knows`},
		{"keyless and not there", func(r *csi.NodePublishVolumeRequest) {
			r.VolumeContext["connections"], r.VolumeContext["keyless"] = "*", "ghost"
		}, codes.NotFound,
			`connection "ghost" does not exist in core: it is listed under "keyless", and "*" brought none of this id (create it, or correct its id; with "?" after its id the pod starts without it)`},
		{"broken", written("variables", "broken"), codes.FailedPrecondition,
			`variable "broken" cannot be delivered: its extra is not JSON`},
		{"value with NUL", written("variables", "nul"), codes.FailedPrecondition,
			`variable "nul" cannot be delivered: the value holds a NUL byte, which no environment variable can carry`},
		{"more than the volume holds", written("variables", "big"), codes.ResourceExhausted,
			"filling the volume: volume is full: 5 files need 2113536 bytes, and 1048576 is the cap: ask for fewer entries or give volumes more room"},
	})
	r.provider.Fail(fmt.Errorf("%w: ask for fewer entries", provider.ErrTooLarge))
	runBreakages(t, r, []breakage{
		{"more than a message holds", func(*csi.NodePublishVolumeRequest) {}, codes.ResourceExhausted,
			"fetching from core: larger than a message may be: ask for fewer entries"},
	})
	r.provider.Fail(fmt.Errorf("asking core at core:9443: %w", provider.ErrUnavailable))
	runBreakages(t, r, []breakage{
		{"unavailable", func(*csi.NodePublishVolumeRequest) {}, codes.Unavailable,
			"core cannot be asked now: asking core at core:9443: unavailable"},
	})
}

func TestPublishReportsThatThereIsNoMemory(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.budget = budget.New(64<<20, nil)
		r.server.Driver.Deliverer = r.newDeliverer()
		r.budget.Recall("/of-another-namespace", 64<<20)
	})
	_, err := r.node.NodePublishVolume(t.Context(), r.publishRequest("bad"))
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.Equal(t, "this node's driver has no memory left for a volume of 64 KiB (those of namespace airflow take 0 KiB on this node): "+
		"ask for fewer or smaller entries, wait until pods of this node end, or have the driver's memory limit raised", status.Convert(err).Message())
}

func missingIDs(count int) []string {
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fmt.Sprintf("missing%03d", i)
	}
	return ids
}

func TestPublishRefusesBadTargets(t *testing.T) {
	r := newRig(t)
	elsewhere := filepath.Join(r.directory, "elsewhere")
	require.NoError(t, os.MkdirAll(elsewhere, 0o750))
	makeTarget := func(make func(path string) error) func(*csi.NodePublishVolumeRequest) {
		return func(request *csi.NodePublishVolumeRequest) {
			require.NoError(t, os.MkdirAll(filepath.Dir(request.GetTargetPath()), 0o750))
			require.NoError(t, make(request.GetTargetPath()))
		}
	}
	runBreakages(t, r, []breakage{
		{"symlink", makeTarget(func(path string) error { return os.Symlink(elsewhere, path) }), codes.FailedPrecondition,
			"making the volume: opening the target path: unusable target path: it is a link or a file, not a directory"},
		{"file", makeTarget(func(path string) error { return os.WriteFile(path, nil, 0o600) }), codes.FailedPrecondition,
			"making the volume: opening the target path: unusable target path: it is a link or a file, not a directory"},
		{"somebody else's mount", makeTarget(func(path string) error {
			t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
			require.NoError(t, os.Mkdir(path, 0o750))
			return unix.Mount("tmpfs", path, "tmpfs", 0, "size=64k")
		}), codes.FailedPrecondition,
			"making the volume: looking at the target path: another file system is mounted there"},
		{"not empty", makeTarget(func(path string) error { return os.MkdirAll(filepath.Join(path, "theirs"), 0o750) }), codes.FailedPrecondition,
			"making the volume: mounting on the target path: directory is not empty: it holds files that are not ours"},
	})
	entries, err := os.ReadDir(elsewhere)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing was written through the link")
}
