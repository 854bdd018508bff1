package kube

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// mostAnswer is more than any single object takes.
const mostAnswer = 4 << 20

// raw is what the API server answers, as it stands. client-go reads no Status there, by which that one alone
// refuses, and which has the code of its answer.
func raw(ctx context.Context, request *rest.Request) ([]byte, error) {
	content, err := request.MaxRetries(retries).DoRaw(ctx)
	var answer apierrors.APIStatus
	var status metav1.Status
	if errors.As(err, &answer) && apierrors.IsUnexpectedServerError(err) && json.Unmarshal(content, &status) == nil &&
		status.Kind == "Status" && status.Status == metav1.StatusFailure && status.Code == answer.Status().Code {
		err = apierrors.FromObject(&status)
	}
	return content, err
}

// bounded ends the reading of an answer that goes on for too long.
type bounded struct {
	http.RoundTripper
	most int64
}

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(request)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, b.most)
	}
	return response, err
}
