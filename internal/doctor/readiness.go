package doctor

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

func (n Node) registrationRemedy() string {
	return "make the driver's --registration-dir kubelet's own plugins_registry (below its --root-dir), and read kubelet's log for " + n.DriverName
}

// readiness asks the fetcher that runs, which asks the driver, which kubelet told.
func readiness(ctx context.Context, node Node) []Finding {
	const name = "readiness"
	if node.HealthAddress == "" {
		return skipped(name, "--health-address is not given")
	}
	if problem := notReady(ctx, node.HealthAddress); problem != "" {
		return failed(name, problem, node.registrationRemedy())
	}
	return fine(name, "the driver serves pods, and kubelet has registered it")
}

// notReady is what /readyz complains of.
func notReady(ctx context.Context, address string) string {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	return strings.TrimSpace(string(text))
}
