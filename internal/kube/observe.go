package kube

import (
	"net/http"

	"k8s.io/client-go/rest"
)

// Outcomes of a call, as Observe tells them.
const (
	ok        = "ok"
	refused   = "refused"   // 4xx, but for the next
	throttled = "throttled" // 429
	failed    = "failed"    // 5xx, or no answer
)

// Observe has told hear of every call by config, retries too. It is called by many goroutines.
func Observe(config *rest.Config, told func(outcome string)) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return observing{next, told} })
}

type observing struct {
	http.RoundTripper
	told func(outcome string)
}

func (o observing) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.RoundTripper.RoundTrip(request)
	o.told(outcomeOf(response, err))
	return response, err
}

func outcomeOf(response *http.Response, err error) string {
	switch {
	case err != nil || response.StatusCode >= http.StatusInternalServerError:
		return failed
	case response.StatusCode == http.StatusTooManyRequests:
		return throttled
	case response.StatusCode >= http.StatusBadRequest:
		return refused
	default:
		return ok
	}
}
