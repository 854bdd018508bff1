package auth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is an API server with real client-go in front.
type apiServer struct {
	*kubetest.Server
	cluster Cluster
}

func startCluster(t testing.TB) apiServer {
	server, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, server.Kubeconfig(), 0o600))
	config, err := kube.Config(file)
	require.NoError(t, err)
	reviews, err := kube.NewTokenReviews(config)
	require.NoError(t, err)
	keys, err := kube.NewIssuerKeys(config)
	require.NoError(t, err)
	return apiServer{server, Cluster{Name: "a", Reviewer: reviews, Keys: keys}}
}

func (c apiServer) sign(t testing.TB, change func(*kubetest.Token)) secret.Text {
	token := kubetest.Token{
		Namespace: "team-a", ServiceAccount: "worker", Pod: "task", PodUID: "1-2-3", Node: "node-1",
		Audiences: []string{PodAudience}, Expires: time.Now().Add(time.Hour), ID: "4-5-6",
	}
	if change != nil {
		change(&token)
	}
	signed, err := c.Sign(token)
	require.NoError(t, err)
	return signed
}

// podsOf knows the pods of one cluster.
func podsOf(of Cluster, remember time.Duration) *Pods {
	return NewPods(PodsConfig{Clusters: []Cluster{of}, Audience: PodAudience, Remember: remember})
}

// reviewed is a cluster whose keys nobody knows.
func reviewed(review reviewerFunc) Cluster { return Cluster{Reviewer: review} }

var pod = Caller{Namespace: "team-a", ServiceAccount: "worker", Pod: "task", PodUID: "1-2-3", Node: "node-1", TokenID: "JTI=4-5-6"}

func TestPodsAreKnownByTheirTokens(t *testing.T) {
	c := startCluster(t)
	pods := podsOf(c.cluster, time.Minute)
	who, err := pods.Authenticate(t.Context(), c.sign(t, nil))
	require.NoError(t, err)
	assert.Equal(t, pod, who)

	who, err = pods.Authenticate(t.Context(), c.sign(t, func(token *kubetest.Token) { token.Pod = "" }))
	require.NoError(t, err)
	assert.Equal(t, Caller{Namespace: "team-a", ServiceAccount: "worker", TokenID: "JTI=4-5-6"}, who, "as kubectl create token makes them")

	who, err = pods.Authenticate(t.Context(), c.sign(t, func(token *kubetest.Token) {
		token.Audiences = []string{"other", PodAudience}
	}))
	require.NoError(t, err)
	assert.Equal(t, pod, who)
}

func TestPodsRefuse(t *testing.T) {
	c, foreign := startCluster(t), startCluster(t)
	expired := time.Now().Add(-time.Minute)
	for name, row := range map[string]struct {
		token   secret.Text
		asked   int
		message string
	}{
		"none":      {secret.Text{}, 0, "there is none"},
		"not a JWT": {secret.New("n33dle"), 0, "it is not a JWT"},
		"another audience": {c.sign(t, func(token *kubetest.Token) { token.Audiences = []string{"n33dle"} }), 0,
			"its aud is not leoflow-core; name that in the tokenRequests of the CSIDriver, or without a driver as the audience of the projected token"},
		"no audience": {c.sign(t, func(token *kubetest.Token) { token.Audiences = nil }), 0,
			"its aud is not leoflow-core; name that in the tokenRequests of the CSIDriver, or without a driver as the audience of the projected token"},
		"a task instance's": {sign(t, jwt.SigningMethodHS256, goodClaims(), []byte(key)), 0,
			"it is a task instance's, and this core takes those of service accounts alone"},
		"alg none": {sign(t, jwt.SigningMethodNone, jwt.MapClaims{"aud": PodAudience}, jwt.UnsafeAllowNoneSignatureType), 0,
			"no key that its cluster publishes has signed it"},
		"another cluster's": {foreign.sign(t, nil), 0, "no key that its cluster publishes has signed it"},
		"expired": {c.sign(t, func(token *kubetest.Token) { token.Expires = expired }), 1,
			"Kubernetes does not accept it: it expired at " + expired.UTC().Format(time.RFC3339)},
	} {
		before := c.Calls()
		who, err := podsOf(c.cluster, time.Minute).Authenticate(t.Context(), row.token)
		assert.ErrorIs(t, err, ErrRefused, name)
		said, clocks, _ := strings.Cut(err.Error(), ", and core's clock says ")
		assert.Equal(t, "token refused: "+row.message, said, name)
		assert.Equal(t, name == "expired", strings.HasSuffix(clocks, "Z; compare the clocks of the pod's node, of core and of the API server"), clocks)
		assert.Zero(t, who, name)
		assert.Equal(t, row.asked, c.Calls()-before, name)
	}
}

// reviewerFunc is a Reviewer without a network, which virtual time cannot wait for.
type reviewerFunc func(ctx context.Context, token secret.Text, audience string) (authenticationv1.TokenReviewStatus, error)

func (f reviewerFunc) Review(ctx context.Context, token secret.Text, audience string) (authenticationv1.TokenReviewStatus, error) {
	return f(ctx, token, audience)
}

func good() authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true, Audiences: []string{PodAudience},
		User: authenticationv1.UserInfo{Username: "system:serviceaccount:team-a:worker", Extra: map[string]authenticationv1.ExtraValue{
			"authentication.kubernetes.io/pod-name": {"task"}, "authentication.kubernetes.io/pod-uid": {"1-2-3"},
			"authentication.kubernetes.io/node-name": {"node-1"}, "authentication.kubernetes.io/credential-id": {"JTI=4-5-6"},
		}},
	}
}

// podToken is a token that nobody checks but a reviewerFunc.
func podToken(t testing.TB, id string, expires time.Time) secret.Text {
	return sign(t, jwt.SigningMethodNone, jwt.MapClaims{"aud": PodAudience, "jti": id, "exp": expires.Unix()},
		jwt.UnsafeAllowNoneSignatureType)
}

// What a server of another make might say: each row breaks one field of a good answer.
func TestPodsReadTheAnswerStrictly(t *testing.T) {
	for name, change := range map[string]func(*authenticationv1.TokenReviewStatus){
		"not authenticated": func(status *authenticationv1.TokenReviewStatus) { status.Authenticated = false },
		"no audiences":      func(status *authenticationv1.TokenReviewStatus) { status.Audiences = nil },
		"other audiences":   func(status *authenticationv1.TokenReviewStatus) { status.Audiences = []string{"other"} },
		"a person":          func(status *authenticationv1.TokenReviewStatus) { status.User.Username = "admin" },
		"a node":            func(status *authenticationv1.TokenReviewStatus) { status.User.Username = "system:node:n" },
		"no namespace": func(status *authenticationv1.TokenReviewStatus) {
			status.User.Username = "system:serviceaccount::worker"
		},
		"no name": func(status *authenticationv1.TokenReviewStatus) {
			status.User.Username = "system:serviceaccount:team-a:"
		},
		"half a name": func(status *authenticationv1.TokenReviewStatus) {
			status.User.Username = "system:serviceaccount:team-a"
		},
		"too many parts": func(status *authenticationv1.TokenReviewStatus) { status.User.Username += ":x" },
		"nobody":         func(status *authenticationv1.TokenReviewStatus) { status.User = authenticationv1.UserInfo{} },
	} {
		status := good()
		change(&status)
		pods := podsOf(reviewed(func(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
			return status, nil
		}), time.Minute)
		who, err := pods.Authenticate(t.Context(), podToken(t, "1", time.Now().Add(time.Hour)))
		assert.ErrorIs(t, err, ErrRefused, name)
		assert.Zero(t, who, name)
	}
}

func TestAYesIsRememberedForAWhile(t *testing.T) {
	for name, row := range map[string]struct{ remember, tokenLives, known time.Duration }{
		"for the usual time":       {10 * time.Second, time.Hour, 10 * time.Second},
		"as long as the token":     {10 * time.Second, 4 * time.Second, 4 * time.Second},
		"never where not wanted":   {0, time.Hour, 0},
		"never once it is expired": {10 * time.Second, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			pods := podsOf(reviewed(func(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
				calls++
				return good(), nil
			}), row.remember)
			token := podToken(t, "1", time.Now().Add(row.tokenLives))
			ask := func() {
				who, err := pods.Authenticate(t.Context(), token)
				require.NoError(t, err, name)
				assert.Equal(t, pod, who, name)
			}
			ask()
			if row.known > 0 {
				time.Sleep(row.known - time.Nanosecond)
				ask()
				assert.Equal(t, 1, calls, name)
				time.Sleep(time.Nanosecond)
			}
			ask()
			assert.Equal(t, 2, calls, name)
		})
	}
}

func TestANoIsRememberedForSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, calls := authenticationv1.TokenReviewStatus{}, 0
		pods := podsOf(reviewed(func(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
			calls++
			return status, nil
		}), time.Minute)
		token := podToken(t, "1", time.Now().Add(time.Hour))
		for range 100 {
			_, err := pods.Authenticate(t.Context(), token)
			assert.ErrorIs(t, err, ErrRefused)
		}
		assert.Equal(t, 1, calls, "a dead pod's token is one question, however often it comes")
		status = good()
		time.Sleep(noRemembered)
		_, err := pods.Authenticate(t.Context(), token)
		assert.NoError(t, err, "what has changed is seen within seconds")
	})
}

func TestWhoComesWithATokenSharesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		pods := podsOf(reviewed(func(ctx context.Context, _ secret.Text, _ string) (authenticationv1.TokenReviewStatus, error) {
			calls++
			time.Sleep(time.Second)
			return good(), ctx.Err()
		}), time.Minute)
		token := podToken(t, "1", time.Now().Add(time.Hour))
		impatient, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var all sync.WaitGroup
		all.Go(func() {
			_, err := pods.Authenticate(impatient, token)
			assert.ErrorIs(t, err, ErrUndecided)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		for range 109 {
			all.Go(func() {
				who, err := pods.Authenticate(t.Context(), token)
				assert.NoError(t, err, "that the first has left harms nobody")
				assert.Equal(t, pod, who)
			})
		}
		all.Wait()
		assert.Equal(t, 1, calls)
	})
}

// slow answers each question after a second, and tells how many were under way at most.
type slow struct {
	mu        sync.Mutex
	now, most int
}

func (s *slow) review(context.Context, secret.Text, string) (authenticationv1.TokenReviewStatus, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(time.Second)
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	return good(), nil
}

// accountToken is podToken for a service account.
func accountToken(t testing.TB, account, id string) secret.Text {
	return sign(t, jwt.SigningMethodNone, jwt.MapClaims{"aud": PodAudience, "sub": account, "jti": id, "exp": time.Now().Add(time.Hour).Unix()},
		jwt.UnsafeAllowNoneSignatureType)
}

func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slow{}
		pods := podsOf(reviewed(server.review), time.Minute)
		var all sync.WaitGroup
		began := time.Now()
		for i := range 110 {
			token := accountToken(t, fmt.Sprint("account-", i%7), fmt.Sprint(i))
			all.Go(func() {
				_, err := pods.Authenticate(FromPeer(t.Context(), fmt.Sprint("node-", i%5)), token)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, reviewsAtOnce, server.most)
		assert.Equal(t, 4*time.Second, time.Since(began))
		assert.Empty(t, pods.turns.asking)
	})
}

// Whoever has any number of good tokens waits for himself: by his service account wherever
// he calls from, and by his address whoever he says he is.
func TestOneCallersQuestionsDelayNoOther(t *testing.T) {
	for name, row := range map[string]struct{ account, peer func(i int) string }{
		"one account": {func(int) string { return "evil" }, func(i int) string { return fmt.Sprint("10.0.0.", i) }},
		"one peer":    {func(i int) string { return fmt.Sprint("evil-", i) }, func(int) string { return "10.0.0.1" }},
	} {
		synctest.Test(t, func(t *testing.T) {
			pods := podsOf(reviewed((&slow{}).review), time.Minute)
			ctx, leave := context.WithCancel(t.Context())
			var attack sync.WaitGroup
			for i := range 1000 {
				token := accountToken(t, row.account(i), fmt.Sprint(i))
				attack.Go(func() { _, _ = pods.Authenticate(FromPeer(ctx, row.peer(i)), token) })
			}
			synctest.Wait()
			began := time.Now()
			var honest sync.WaitGroup
			for i := range reviewsAtOnce - reviewsOfOne {
				token := accountToken(t, "honest", fmt.Sprint(i))
				honest.Go(func() {
					_, err := pods.Authenticate(FromPeer(t.Context(), "10.1.0.1"), token)
					assert.NoError(t, err)
				})
			}
			honest.Wait()
			assert.Equal(t, time.Second, time.Since(began), "%s: as if there were nobody else", name)
			leave()
			attack.Wait()
			time.Sleep(time.Minute)
		})
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := podsOf(reviewed(func(ctx context.Context, _ secret.Text, _ string) (authenticationv1.TokenReviewStatus, error) {
			<-ctx.Done()
			return authenticationv1.TokenReviewStatus{}, ctx.Err()
		}), time.Minute)
		began := time.Now()
		var all sync.WaitGroup
		for i := range reviewsAtOnce + 1 {
			token := accountToken(t, fmt.Sprint(i), fmt.Sprint(i))
			all.Go(func() {
				_, err := pods.Authenticate(FromPeer(t.Context(), fmt.Sprint(i)), token)
				assert.ErrorIs(t, err, ErrUndecided)
			})
		}
		all.Wait()
		assert.Equal(t, reviewTimeout, time.Since(began), "also for the one whose turn never came")
	})
}

func TestRememberedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := newRemembered(3)
		key := func(id int) tokenKey { return known.key(secret.New(fmt.Sprint(id))) }
		for id := range 5 {
			known.accept(key(id), Caller{Pod: fmt.Sprint(id)}, time.Minute, time.Time{})
			known.accept(key(id), Caller{Pod: fmt.Sprint(id)}, time.Minute, time.Time{})
			known.refuse(key(100+id), ErrRefused, time.Minute)
		}
		for id := range 5 {
			who, _, found := known.get(key(id))
			assert.Equal(t, id >= 2, found, id)
			if found {
				assert.Equal(t, fmt.Sprint(id), who.Pod)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Zero(t, known.good.Len()+known.bad.Len(), "those who expired are forgotten, whether or not somebody asks")
	})
}

func TestKeysAreTheProcessesOwn(t *testing.T) {
	token := secret.New("n33dle")
	assert.NotEqual(t, newRemembered(1).key(token), newRemembered(1).key(token))
}
