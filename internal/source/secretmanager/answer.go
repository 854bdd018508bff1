package secretmanager

import (
	"errors"
	"io"
	"net/http"
)

// Answer is what a server said, whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Ask makes a request by a client of NewHTTPClient, and reads the answer. Its error is a *Failure, the client's
// own where it has one, of what doing says.
func Ask(client *http.Client, doing string, request *http.Request) (Answer, error) {
	response, err := client.Do(request) //nolint:gosec // the operator names the store, and the client follows no redirect
	if err != nil {
		return Answer{}, noAnswer(doing, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, noAnswer(doing, err)
	}
	return Answer{response.StatusCode, response.Header, body}, nil
}

func noAnswer(doing string, err error) error {
	var own *Failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &tooLarge):
		return &Failure{TooLarge: true, Text: doing + ": the answer is larger than 1 MiB; store less in it"}
	}
	return Unreachable(doing)
}
