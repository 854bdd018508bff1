package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// accounts are service accounts that are annotated with a role, unless err is set. Without a role the cloud knows their
// pods by itself.
type accounts struct {
	mu   sync.Mutex
	role string
	err  error
}

func (*accounts) HasIdentity(cloud string) bool { return cloud == "aws" }

func (a *accounts) Identity(context.Context, provider.Identity, string) (layout.Identity, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return layout.Identity{}, "", a.err
	}
	if a.role == "" {
		made := layout.NewIdentity("aws", agentAudience, false)
		made.Variables = []layout.IdentityVariable{{Name: layout.AWSAgentTokenFile, File: made.Token}, {Name: layout.AWSAgent, Value: "http://169.254.170.23/v1/credentials"}}
		return made, "", nil
	}
	made := layout.NewIdentity("aws", awsAudience, true)
	made.Annotations = []string{"a/role-arn"}
	made.Variables = []layout.IdentityVariable{{Name: layout.AWSRole, Value: a.role}, {Name: layout.AWSTokenFile, File: made.Token}}
	return made, "role_arn = " + a.role + "\n", nil
}

func (a *accounts) set(role string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.role, a.err = role, err
}

// unnamed is of a service account that does not say who the pod is.
type unnamed struct{}

func (unnamed) Error() string { return "no role to assume: annotate it" }

func (unnamed) Is(target error) bool { return target == provider.ErrNoIdentity }

// misnamed is of one that says so in a way that cannot be read.
type misnamed struct{}

func (misnamed) Error() string { return "annotation a is not the ARN of a role; correct or remove it" }

const awsAudience, agentAudience = "sts.amazonaws.com", "pods.eks.amazonaws.com"

// keyless is a volume of the rig whose connection to AWS has no credentials, of a pod with a token for it.
func keyless(t *testing.T) (*rig, *accounts, Volume) {
	r, known := newRig(t), &accounts{role: "first"}
	r.asks.Identities = known
	r.fake.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws"})
	v := r.volume(t, "a")
	v.Connections = named("aws_default", "warehouse")
	v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New("needle-one"), "other": secret.New("needle-other")}
	return r, known, v
}

func lineOf(t *testing.T, v Volume, id string) layout.Entry {
	t.Helper()
	shown, err := mount.Current(v.TargetPath)
	require.NoError(t, err)
	for _, line := range shown.Manifest.Entries {
		if line.ID == id {
			return line
		}
	}
	return layout.Entry{}
}

func TestAKeylessConnectionBringsThePodsIdentity(t *testing.T) {
	r, known, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"))
	assert.Equal(t, "role_arn = first\n", read(t, v, "identity/aws.config"))
	assert.Equal(t, "aws", lineOf(t, v, "aws_default").Identity)
	assert.Empty(t, lineOf(t, v, "warehouse").Identity)

	known.set("second", nil)
	r.look(t)
	assert.Equal(t, "role_arn = second\n", read(t, v, "identity/aws.config"))
	assert.Equal(t, uint64(2), must(r.Health(v.ID)).Generation)
	assert.NotContains(t, r.log.String(), "needle")
}

// A republish brings a new token into a volume that is otherwise fresh. It asks nobody, makes no generation,
// and reads no clock: kubelet has judged the token by its own.
func TestARepublishRenewsTheToken(t *testing.T) {
	r, _, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	for _, token := range []string{"needle-two", "needle-three"} {
		v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New(token)}
		require.NoError(t, r.Publish(t.Context(), v))
		assert.Equal(t, token, read(t, v, "identity/aws.token"))
	}
	require.Len(t, r.fake.Calls(), 1)
	assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation)

	after := r.restarted()
	v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New("needle-four")}
	require.NoError(t, after.Publish(t.Context(), v))
	assert.Equal(t, "needle-four", read(t, v, "identity/aws.token"))
	v.Pod.CloudTokens = nil
	require.NoError(t, after.Publish(t.Context(), v), "a kubelet that sends none")
	assert.Equal(t, "needle-four", read(t, v, "identity/aws.token"))
	assert.NotContains(t, r.log.String(), "needle")
}

// A delivery that began before a republish does not bring an older token back.
func TestADeliveryTakesTheNewestToken(t *testing.T) {
	r, known, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	begun, _ := r.set.beginIdle(r.set.find(v.ID).shares[0])
	v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New("needle-two")}
	require.NoError(t, r.Publish(t.Context(), v))
	known.set("second", nil)
	r.deliver(t.Context(), []task{begun})
	assert.Equal(t, "role_arn = second\n", read(t, v, "identity/aws.config"))
	assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"))
}

func TestAWithdrawalTakesTheIdentityAlong(t *testing.T) {
	r, _, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "aws_default"})
	r.look(t)
	_, err := os.Lstat(filepath.Join(v.TargetPath, layout.IdentityDir))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, layout.Denied, lineOf(t, v, "aws_default").State)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))

	v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New("needle-two")}
	require.NoError(t, r.Publish(t.Context(), v))
	_, err = os.Lstat(filepath.Join(v.TargetPath, layout.DataLink, layout.IdentityDir))
	require.ErrorIs(t, err, os.ErrNotExist, "a republish brings no token back")
}

func TestAnAccountThatCannotBeReadTakesNothingAway(t *testing.T) {
	r, known, v := keyless(t)
	known.set("", fmt.Errorf("%w: the API server does not answer", provider.ErrUnavailable))
	err := r.Publish(t.Context(), v)
	assert.Equal(t, report.Unavailable, reasonOf(t, err))
	require.ErrorContains(t, err, "finding the pod's identity at aws")

	known.set("first", nil)
	require.NoError(t, r.Publish(t.Context(), v))
	known.set("", fmt.Errorf("%w: the API server does not answer", provider.ErrUnavailable))
	r.look(t)
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"))
	require.NotNil(t, lineOf(t, v, "aws_default").Held)
	v.Pod.CloudTokens = map[string]secret.Text{awsAudience: secret.New("needle-two")}
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"), "what is held is renewed all the same")
}

// Whatever becomes of the service account's annotation, or of what kubelet sends, a running pod keeps the identity that
// it has, is told, and has the newest token; what takes the connection away takes the identity along.
func TestALostIdentityIsHeld(t *testing.T) {
	optional := &Wanted{Names: []WantedName{{ID: "aws_default", Optional: true}}}
	for name, row := range map[string]struct {
		keyless *Wanted
		err     error
		why     string
	}{
		"removed":           {nil, unnamed{}, "finding the pod's identity: no role to assume: annotate it"},
		"removed, optional": {optional, unnamed{}, "finding the pod's identity: no role to assume: annotate it"},
		"malformed":         {nil, misnamed{}, "finding the pod's identity: annotation a is not the ARN of a role; correct or remove it"},
		"no token":          {nil, nil, "finding the pod's identity: kubelet sent no token with audience \"sts.amazonaws.com\": list it under tokenRequests of the CSIDriver"},
	} {
		t.Run(name, func(t *testing.T) {
			r, known, v := keyless(t)
			v.Keyless = row.keyless
			require.NoError(t, r.Publish(t.Context(), v))
			known.set("first", row.err)
			if row.err == nil {
				v.Pod.CloudTokens = nil
				require.NoError(t, r.Publish(t.Context(), v))
			}
			for range 2 {
				r.look(t)
				line := lineOf(t, v, "aws_default")
				require.NotNil(t, line.Held)
				assert.Equal(t, row.why, line.Held.Why)
				assert.Equal(t, "aws", line.Identity)
				assert.Equal(t, layout.Delivered, line.State)
				assert.Equal(t, "role_arn = first\n", read(t, v, "identity/aws.config"))
				assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
				assert.Nil(t, lineOf(t, v, "warehouse").Held)
			}
			v.Pod.CloudTokens = tokens("needle-two")
			require.NoError(t, r.Publish(t.Context(), v))
			assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"))
			assert.Equal(t, uint64(1), must(r.Health(v.ID)).Generation)

			known.set("second", nil)
			r.look(t)
			assert.Nil(t, lineOf(t, v, "aws_default").Held)
			assert.Equal(t, "role_arn = second\n", read(t, v, "identity/aws.config"))

			known.set("second", row.err)
			r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "aws_default"})
			r.look(t)
			assert.False(t, hasToken(t, v), "what is denied leaves")
			assert.Equal(t, layout.Denied, lineOf(t, v, "aws_default").State)
			assert.NotContains(t, r.log.String(), "needle")
		})
	}
}

// A source that tells of changes tells of none of a service account: what is held for that is looked at again within a
// minute, also where kubelet sends no token.
func TestALostIdentityIsLookedForSoon(t *testing.T) {
	r, known, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	after := func() time.Duration {
		r.set.plan(func(plan *schedule.Schedule) { plan.WatchBegan(v.Provider) })
		r.look(t)
		groups, wait := r.set.takeDue(time.Now())
		require.Empty(t, groups)
		return wait
	}
	soon := 2 * schedule.MaxBackoff
	assert.Greater(t, after(), soon)
	known.set("", misnamed{})
	for range 10 {
		assert.Less(t, after(), soon)
	}
	known.set("first", nil)
	assert.Greater(t, after(), soon)
	v.Pod.CloudTokens = nil
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Less(t, after(), soon)
}

// Where the cloud knows pods without an annotation too, one that is lost makes another identity of the first, in the
// files that running programs read. It is held all the same; new pods have the other.
func TestAnIdentityThatWouldBecomeAnotherIsHeld(t *testing.T) {
	const why = "the pod's service account has lost the annotation a/role-arn, by which the pod goes at aws; " +
		"add it again, or start the pod anew to have it go without"
	both := func() map[string]secret.Text {
		return map[string]secret.Text{awsAudience: secret.New("needle-two"), agentAudience: secret.New("needle-agent")}
	}
	listed := named("aws_default")
	for name, keylessIDs := range map[string]*Wanted{"not written": nil, "listed": &listed} {
		t.Run(name, func(t *testing.T) {
			r, known, v := keyless(t)
			v.Keyless = keylessIDs
			v.Pod.CloudTokens = both()
			require.NoError(t, r.Publish(t.Context(), v))
			known.set("", nil)
			r.fake.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws", Host: new("changed")})
			for _, driver := range []*rig{r, r.restarted()} {
				require.NoError(t, driver.Publish(t.Context(), v))
				driver.look(t)
				line := lineOf(t, v, "aws_default")
				require.NotNil(t, line.Held)
				assert.Contains(t, line.Held.Why, why)
				assert.Equal(t, "role_arn = first\n", read(t, v, "identity/aws.config"))
				assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"))
			}

			another := r.volume(t, "b")
			another.Connections, another.Pod.CloudTokens = v.Connections, both()
			require.NoError(t, r.Publish(t.Context(), another))
			assert.Equal(t, "needle-agent", read(t, another, "identity/aws.token"), "a new pod")
			known.set("second", nil)
			r.look(t)
			assert.Nil(t, lineOf(t, v, "aws_default").Held)
			assert.Equal(t, "role_arn = second\n", read(t, v, "identity/aws.config"))
			r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "aws_default"})
			known.set("", nil)
			r.look(t)
			assert.False(t, hasToken(t, v), "what is denied leaves")
			assert.NotContains(t, r.log.String(), "needle")
		})
	}
}

// A driver that starts anew holds what the one before it showed.
func TestALostIdentityIsHeldByTheNextDriver(t *testing.T) {
	r, known, v := keyless(t)
	require.NoError(t, r.Publish(t.Context(), v))
	known.set("", unnamed{})
	after := r.restarted()
	v.Pod.CloudTokens = tokens("needle-two")
	require.NoError(t, after.Publish(t.Context(), v))
	after.look(t)
	assert.Equal(t, "needle-two", read(t, v, "identity/aws.token"))
	require.NotNil(t, lineOf(t, v, "aws_default").Held)
}

// Of an id under "keyless" that "*" does not bring the pod is told as of any other that is not there.
func TestAnIDUnderKeylessThatIsNotThereIsMissing(t *testing.T) {
	with := func(optional bool) (*rig, Volume) {
		r, _, v := keyless(t)
		v.Connections = Wanted{All: true}
		v.Keyless = &Wanted{Names: []WantedName{{ID: "aws_default"}, {ID: "ghost", Optional: optional}}}
		return r, v
	}
	r, v := with(false)
	err := r.Publish(t.Context(), v)
	assert.Equal(t, report.Missing, reasonOf(t, err))
	require.ErrorContains(t, err, `connection "ghost" does not exist in core: it is listed under "keyless", and "*" brought none of this id`)

	r.fake.SetConnection(airflow.Connection{ID: "ghost", Type: "aws"})
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.Remove(layout.Name{Kind: layout.Connection, ID: "ghost"})
	r.look(t)
	line := lineOf(t, v, "ghost")
	assert.Equal(t, layout.Missing, line.State)
	assert.True(t, line.Required)
	assert.NoFileExists(t, filepath.Join(v.TargetPath, "connections/ghost"))
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"), "the other goes by it still")

	r, v = with(true)
	require.NoError(t, r.Publish(t.Context(), v))
	line = lineOf(t, v, "ghost")
	assert.Equal(t, layout.Missing, line.State)
	assert.Equal(t, `it is listed under "keyless", and "*" brought none of this id`, line.Reason())
}

func TestTheAttributeKeylessSaysWhichConnectionsGoByAnIdentity(t *testing.T) {
	noRole, badRole := unnamed{}, misnamed{}
	optional := &Wanted{Names: []WantedName{{ID: "aws_default", Optional: true}}}
	listed := func(ids ...string) *Wanted { wanted := named(ids...); return &wanted }
	for name, row := range map[string]struct {
		keyless *Wanted
		tokens  bool
		err     error
		// fails is what the volume is refused for, notice what the connection has beside it.
		fails, notice string
		isShown       bool
	}{
		"not written":             {nil, true, nil, "", "", true},
		"nothing":                 {&Wanted{}, true, nil, "", "", false},
		"all":                     {&Wanted{All: true}, true, nil, "", "", true},
		"listed":                  {listed("aws_default"), true, nil, "", "", true},
		"another":                 {listed("warehouse"), true, nil, `"warehouse"`, "", false},
		"no role":                 {nil, true, noRole, "", "no role to assume: annotate it", false},
		"listed, no role":         {listed("aws_default"), true, noRole, `it is listed under "keyless": no role to assume: annotate it`, "", false},
		"optional, no role":       {optional, true, noRole, "", "no role to assume: annotate it", false},
		"a bad role":              {nil, true, badRole, `connection "aws_default" cannot be delivered: finding the pod's identity: annotation a is not the ARN of a role`, "", false},
		"listed, a bad role":      {listed("aws_default"), true, badRole, `it is listed under "keyless": annotation a is not the ARN of a role`, "", false},
		"optional, a bad role":    {optional, true, badRole, "", "annotation a is not the ARN of a role; correct or remove it", false},
		"nothing, a bad role":     {&Wanted{}, true, badRole, "", "annotation a is not the ARN of a role; correct or remove it", false},
		"no token":                {nil, false, nil, "", `kubelet sent no token with audience "sts.amazonaws.com": list it under tokenRequests of the CSIDriver`, false},
		"listed, no token":        {listed("aws_default"), false, nil, `kubelet sent no token with audience "sts.amazonaws.com"`, "", false},
		"listed, with a password": {listed("warehouse", "aws_default"), true, nil, "its type is none of a cloud whose identities this node knows", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, known, v := keyless(t)
			v.Keyless = row.keyless
			if !row.tokens {
				v.Pod.CloudTokens = nil
			}
			known.set("first", row.err)
			err := r.Publish(t.Context(), v)
			if row.fails != "" {
				require.ErrorContains(t, err, row.fails)
				assert.Equal(t, report.Invalid, reasonOf(t, err))
				return
			}
			require.NoError(t, err)
			line := lineOf(t, v, "aws_default")
			assert.Equal(t, row.notice != "", line.Has(layout.NoticeNoIdentity) || line.Has(layout.NoticeBadIdentity))
			for _, notice := range line.Notices {
				assert.Equal(t, row.notice, notice.Message)
			}
			_, err = os.Lstat(filepath.Join(v.TargetPath, layout.IdentityDir))
			assert.Equal(t, row.isShown, err == nil)
			assert.Equal(t, row.isShown, line.Identity != "")
		})
	}
}

// A connection that is listed and gets a key later is held, as one is that cannot be delivered.
func TestAListedConnectionWithAKeyIsHeld(t *testing.T) {
	r, _, v := keyless(t)
	wanted := named("aws_default")
	v.Keyless = &wanted
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.SetConnection(airflow.Connection{ID: "aws_default", Type: "aws", Login: new("AKIA"), Password: new(secret.New("needle-key"))})
	r.look(t)
	line := lineOf(t, v, "aws_default")
	require.NotNil(t, line.Held)
	assert.Equal(t, `it is listed under "keyless": no identity stands for its credentials (a stored key pair)`, line.Held.Why)
	assert.NotContains(t, read(t, v, "connections/aws_default"), "needle")
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"))
}

// What of a volume several sources bring goes by one identity.
func TestSharesOfAVolumeHaveOneIdentity(t *testing.T) {
	r, known, v := keyless(t)
	r.fake.SetConnection(airflow.Connection{ID: "aws_other", Type: "aws"})
	r.asks.Providers["file"] = r.fake
	v.Connections.Names = append(v.Connections.Names, WantedName{ID: "aws_other", Source: "file"})
	require.NoError(t, r.Publish(t.Context(), v))
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"))
	known.set("second", nil)
	r.look(t)
	assert.Equal(t, "role_arn = second\n", read(t, v, "identity/aws.config"))
	r.fake.Deny("etl", layout.Name{Kind: layout.Connection, ID: "aws_default"})
	r.look(t)
	assert.Equal(t, "needle-one", read(t, v, "identity/aws.token"), "the other goes by it still")
	assert.Equal(t, "aws", lineOf(t, v, "aws_other").Identity)
}
