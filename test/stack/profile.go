package stack

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Goroutines are those that the driver has now. It takes Options.Profiles.
func (s *Stack) Goroutines(ctx context.Context) (count int, err error) {
	err = s.profile(ctx, "goroutine?debug=1", func(body io.Reader) error {
		_, err := fmt.Fscanf(body, "goroutine profile: total %d", &count)
		return err
	})
	return count, err
}

// Collect has the driver collect its garbage, which it does by itself within two minutes
// of being idle. It takes Options.Profiles.
func (s *Stack) Collect(ctx context.Context) error {
	return s.profile(ctx, "heap?gc=1", func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

func (s *Stack) profile(ctx context.Context, name string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://driver/debug/pprof/"+name, http.NoBody)
	if err != nil {
		return err
	}
	request.Close = true // a connection that is kept would be among what is counted
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.path("driver-profiles.sock"))
	}}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the driver for %s: %s", name, response.Status)
	}
	return read(response.Body)
}
