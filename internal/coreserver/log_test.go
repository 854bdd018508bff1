package coreserver

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// A stranger without any token had core log 19 MB a second, beside the audit log in the same place.
func TestCallsThatFailAreFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := &Server{config: Config{Log: slog.New(slog.NewTextHandler(&out, nil))}.withDefaults()}
		from := func(address string) context.Context {
			return peer.NewContext(t.Context(), &peer.Peer{Addr: host(address)})
		}
		words := status.Error(codes.InvalidArgument, strings.Repeat("\x01", 100<<10))
		for range 10_000 {
			s.logCall(from("10.0.0.1"), "/Fetch", time.Now(), words)
		}
		assert.Equal(t, ofOnePeer, strings.Count(out.String(), "\n"))
		assert.Less(t, len(out.String()), 2000*ofOnePeer, "and none is long")
		s.logCall(from("10.0.0.2"), "/Fetch", time.Now(), words)
		assert.Equal(t, ofOnePeer+1, strings.Count(out.String(), "\n"), "another peer's calls are told")
		assert.Contains(t, out.String(), "untold=9950")
		for i := range 10_000 {
			s.logCall(from("10.1.0."+string(rune('a'+i%100))), "/Fetch", time.Now(), words)
		}
		assert.Equal(t, ofThem, strings.Count(out.String(), "\n"), "many peers have no more together")
		time.Sleep(span)
		s.logCall(from("10.0.0.1"), "/Fetch", time.Now(), words)
		assert.Equal(t, ofThem+1, strings.Count(out.String(), "\n"), "later there is room again")
	})
}

// host is an address without a port.
type host string

func (host) Network() string  { return "test" }
func (h host) String() string { return string(h) }
