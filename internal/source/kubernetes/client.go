package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/apiserver"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// What a client is sent: whole objects, or of lists and watches their metadata alone.
const (
	objects  = runtime.ContentTypeJSON
	metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
)

// endless is config for watches, which no time limit on the whole call may end.
func endless(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Timeout = 0
	return config
}

// newClient speaks of Secrets and of nothing else.
func newClient(config *rest.Config, accept string) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.AcceptContentTypes = accept
	version := schema.GroupVersion{Version: "v1"}
	bound := func(next http.RoundTripper) http.RoundTripper { return bounded{next} }
	return apiserver.NewClient(config, version, bound, metav1.AddMetaToScheme, func(scheme *runtime.Scheme) error {
		scheme.AddKnownTypes(version, &corev1.Secret{}, &corev1.SecretList{})
		metav1.AddToGroupVersion(scheme, version)
		return nil
	})
}

// answerError is an answer of the API server. It says the status and nothing that the
// server wrote, which may hold what it was sent.
type answerError struct{ status int }

func (e *answerError) Error() string {
	return fmt.Sprintf("the API server answers with status %d", e.status)
}

func isStatus(err error, status int) bool {
	var answer *answerError
	return errors.As(err, &answer) && answer.status == status
}

var (
	// errUnreachable: nobody could have been answered.
	errUnreachable = errors.New("the API server cannot be reached, or not trusted")
	errNoAnswer    = errors.New("the API server gives no answer, or none that makes sense")
	// errSlow: there is an API server, which takes too long over this call.
	errSlow = errors.New("the API server does not answer in time")
	// errIntermediary: the answer is of a proxy or a load balancer before the API server.
	errIntermediary = errors.New("what answers is not the API server; see what does in its place, such as a proxy, and have that let the driver through")
)

// settling is how long after it was away the API server may deny what it allows: it answers before it has read the rules of
// RBAC (kubernetes issue 121635).
const settling = 30 * time.Second

var errSettling = errors.New("the API server was away, and may not have read the rules of RBAC yet: it denies")

// faultOf is what an error says of the API server, in this project's own words.
func (p *Provider) faultOf(err error) error {
	fault, now := describe(err), p.config.Now()
	if errors.Is(fault, errUnreachable) {
		p.away.Store(&now)
	}
	if away := p.away.Load(); isStatus(fault, http.StatusForbidden) && away != nil && now.Sub(*away) < settling {
		return errSettling
	}
	return fault
}

func describe(err error) error {
	var (
		answer  apierrors.APIStatus
		network net.Error
		dialled *net.OpError
		untrue  *tls.CertificateVerificationError
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoRoom):
		return errNoRoom
	case errors.As(err, &answer) && answer.Status().Code >= 400:
		if apiserver.IsOfIntermediary(err) {
			return errIntermediary
		}
		return &answerError{int(answer.Status().Code)}
	case errors.As(err, &dialled) && dialled.Op == "dial", errors.As(err, &untrue):
		return errUnreachable
	case errors.As(err, &network) && network.Timeout():
		return errSlow
	}
	return errNoAnswer
}

func (c caller) authorize(request *rest.Request) *rest.Request {
	return request.SetHeader("Authorization", "Bearer "+c.token.Reveal()).MaxRetries(1)
}

// secrets is a GET of Secrets where the pod's are.
func (c caller) secrets(client *rest.RESTClient) *rest.Request {
	return c.authorize(client.Get()).Namespace(c.namespace).Resource("secrets")
}

// read reads an answer into what is given. A Status of another code than the answer's own is not the API server's, and
// says nothing of a Secret.
func read(answer rest.Result, into runtime.Object) error {
	var code int
	err := answer.StatusCode(&code).Into(into)
	var told apierrors.APIStatus
	if errors.As(err, &told) && code != 0 && int(told.Status().Code) != code { // 0 of one that client-go does not read
		return errNoAnswer
	}
	return err
}

func (c caller) get(ctx context.Context, name entry.Name) (*corev1.Secret, error) {
	var found corev1.Secret
	err := read(c.secrets(c.whole).Name(c.config.Rules.secretName(name)).Do(apiserver.For(ctx, c.pods)), &found)
	return &found, c.faultOfOne(name, found.Name, err)
}

// faultOfOne is faultOf an answer that should be a Secret of the name.
func (c caller) faultOfOne(name entry.Name, found string, err error) error {
	wanted := c.config.Rules.secretName(name)
	switch {
	case slices.Contains([]string{"", ".", ".."}, wanted): // which lead elsewhere, and client-go asks nobody for
		return &answerError{http.StatusNotFound}
	case err == nil && found != wanted:
		return errNoAnswer
	}
	return c.faultOf(err)
}

// faultOfList is faultOf an answer that should be a list, which has a version even where it is empty.
func (p *Provider) faultOfList(version string, err error) error {
	if err == nil && version == "" {
		return errNoAnswer
	}
	return p.faultOf(err)
}

// exists asks whether there is a Secret that the caller may get.
func (c caller) exists(ctx context.Context, name entry.Name) (found metav1.PartialObjectMetadata, err error) {
	ctx, reading := c.room.begin(ctx)
	defer reading.end(0)
	err = read(c.secrets(c.metadata).Name(c.config.Rules.secretName(name)).Do(apiserver.For(ctx, c.pods)), &found)
	return found, c.faultOfOne(name, found.Name, err)
}

// pageSize is how many Secrets are listed at once, and mostListed of how many "*" is read.
const (
	pageSize   = "100"
	mostListed = 10_000
)

// list is one page of the metadata of the Secrets that the selector selects.
func (c caller) list(ctx context.Context, selector, page string) (list metav1.PartialObjectMetadataList, err error) {
	ctx, reading := c.room.begin(ctx)
	defer reading.end(0)
	request := c.secrets(c.metadata).Param("labelSelector", selector).Param("limit", pageSize)
	if page != "" {
		request = request.Param("continue", page)
	}
	err = read(request.Do(apiserver.For(ctx, c.pods)), &list)
	return list, c.faultOfList(list.ResourceVersion, err)
}

// listWhole is what the selector selects, and no more than two: one is wanted.
func (c caller) listWhole(ctx context.Context, selector string) (list corev1.SecretList, err error) {
	request := c.secrets(c.whole).Param("labelSelector", selector).Param("limit", "2")
	err = read(request.Do(apiserver.For(ctx, c.pods)), &list)
	return list, c.faultOfList(list.ResourceVersion, err)
}

// names are those asked for; for all of them the API server is asked for the Secrets'
// metadata, and each is then read as if it had been named.
func (c caller) names(ctx context.Context, kind entry.Kind, selection provider.Selection) ([]entry.Name, error) {
	if !selection.All {
		var names []entry.Name
		for _, id := range selection.Names {
			names = append(names, entry.Name{Kind: kind, ID: id})
		}
		return names, nil
	}
	found := map[entry.Name]struct{}{}
	for _, selector := range c.config.Rules.selectors(kind) {
		var pages secretmanager.Pages
		for page := ""; ; {
			list, err := c.list(ctx, selector, page)
			if err != nil {
				return nil, c.wholeError(ctx, fmt.Errorf("listing what is labelled %s: %w", selector, err))
			}
			if pages.Turn("", true, list.Continue) != nil {
				return nil, c.wholeError(ctx, errNoAnswer)
			}
			for _, item := range list.Items {
				if name, reached := c.config.Rules.reached(kind, item.ObjectMeta); reached {
					found[name] = struct{}{}
				}
			}
			if len(found) > mostListed {
				return nil, c.wholeError(ctx, fmt.Errorf("there are more than %d entries; name those that are needed: %w", mostListed, errNoRoom))
			}
			if page = list.Continue; page == "" {
				break
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b entry.Name) int { return strings.Compare(a.ID, b.ID) }), nil
}
