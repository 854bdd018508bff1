package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/leoflow/secrets-csi/internal/apiserver"
)

// fault words an error of client-go anew. Its own may quote what a server answered,
// and that what it was sent. right is what this program wanted to do, and how it gets
// the right to.
func fault(err error, right string) error {
	var answer apierrors.APIStatus
	var certificate *tls.CertificateVerificationError
	var network net.Error
	var operation *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("asking the API server: %w", context.Canceled)
	case apiserver.IsOfIntermediary(err):
		return errors.New("what answers is not the API server; see what does in its place, such as a proxy, and have that let this program through")
	case errors.As(err, &answer):
		return refusal(int(answer.Status().Code), right)
	case errors.As(err, &certificate):
		return fmt.Errorf("the API server cannot be trusted: %w", certificate)
	case errors.As(err, &network) && network.Timeout():
		return errors.New("the API server does not answer in time")
	case errors.As(err, &operation):
		return fmt.Errorf("the API server cannot be reached: %w", operation)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the API server hung up")
	default:
		return errors.New("what the API server answers makes no sense")
	}
}

func refusal(code int, right string) error {
	switch code {
	case http.StatusUnauthorized:
		return errors.New("the API server refuses this program's own credentials (401)")
	case http.StatusForbidden:
		return fmt.Errorf("the API server does not let this program %s (403)", right)
	case http.StatusTooManyRequests:
		return errors.New("the API server asks for fewer calls (429)")
	default:
		return fmt.Errorf("the API server answers with status %d", code)
	}
}

// isStatus tells whether the API server answered with that status of HTTP.
func isStatus(err error, code int32) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && answer.Status().Code == code && !apiserver.IsOfIntermediary(err)
}
