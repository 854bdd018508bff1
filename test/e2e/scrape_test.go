package e2e

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// scraped is a driver as Prometheus sees it.
type scraped struct{ address string }

// unused is an address of loopback on which nobody listens.
func unused(t *testing.T) scraped {
	t.Helper()
	address, err := testport.Free()
	require.NoError(t, err)
	return scraped{address}
}

// page is empty where nobody answers.
func (s scraped) page(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testwait.Limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/metrics", nil)
	require.NoError(t, err)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// valueOf is what the page says of a series, written as the page has it; 0 where it does
// not say anything.
func valueOf(t *testing.T, page, series string) float64 {
	t.Helper()
	for line := range strings.Lines(page) {
		text, found := strings.CutPrefix(line, series+" ")
		if !found {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		require.NoError(t, err, line)
		return value
	}
	return 0
}

// await waits until the series has at least the value, or where that is 0, exactly.
func (s scraped) await(t *testing.T, series string, least float64) {
	t.Helper()
	require.Eventually(t, func() bool {
		page := s.page(t)
		value := valueOf(t, page, series)
		return page != "" && (value == 0) == (least == 0) && value >= least
	}, testwait.Limit, 20*time.Millisecond, "%s to be %v", series, least)
}
