package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Config says where core is and how far to trust it. Address is needed; the zero
// value of everything else is a sound default.
type Config struct {
	// Address is core's "host:port".
	Address string
	// CAFile holds the PEM certificates that core's must chain to; empty means those
	// of the system. It is read again for each new connection, as are the next two.
	CAFile string
	// CertFile and KeyFile are the node's client certificate. Both or neither.
	CertFile, KeyFile string
	// ServerName is the name core's certificate must carry, where that is not the
	// host of Address.
	ServerName string
	// PlaintextLoopback does without TLS, for development. Address must then be a
	// loopback address, because the pods' tokens cross it in the clear.
	PlaintextLoopback bool

	// Timeout bounds one Fetch, its retries included.
	Timeout time.Duration
	// MaxRequest and MaxResponse bound one message, in bytes.
	MaxRequest, MaxResponse int
	// ReprobeAfter is how long a core that lacks our contract is taken at its word.
	ReprobeAfter time.Duration

	// NodeToken gives the driver's own bearer token, under which Watch runs, and which each
	// Fetch shows beside the pods': core takes a pod's from the driver of its node alone. Nil
	// where the client certificate is identity enough.
	NodeToken func(context.Context) (secret.Text, error)
	// HeartbeatTimeout is how long a Watch stream may stay silent.
	HeartbeatTimeout time.Duration
	// WatchBackoff is the longest pause between two attempts to Watch.
	WatchBackoff time.Duration

	// Observer is told what happens on the line to core; optional.
	Observer Observer
	// Logger takes changes of state; what becomes of a Fetch is its caller's to log.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Timeout = orElse(c.Timeout, 10*time.Second)
	c.MaxRequest = orElse(c.MaxRequest, 1<<20)
	c.MaxResponse = orElse(c.MaxResponse, 8<<20)
	c.ReprobeAfter = orElse(c.ReprobeAfter, 10*time.Minute)
	c.HeartbeatTimeout = orElse(c.HeartbeatTimeout, 90*time.Second)
	c.WatchBackoff = orElse(c.WatchBackoff, 30*time.Second)
	c.Observer = orElse[Observer](c.Observer, silent{})
	c.Logger = orElse(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// orElse is value, or fallback where value is not set.
func orElse[T comparable](value, fallback T) T {
	var unset T
	if value == unset {
		return fallback
	}
	return value
}

func (c Config) check() error {
	host, _, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil || host == "":
		return fmt.Errorf("core's address must be host:port, not %q", c.Address)
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("a client certificate needs its key: give both files or neither")
	case c.PlaintextLoopback && (c.CAFile != "" || c.CertFile != "" || c.ServerName != ""):
		return errors.New("plaintext leaves no use for certificates: give one or the other")
	case c.PlaintextLoopback && !isLoopback(host):
		return fmt.Errorf("plaintext is for loopback addresses only, not %q: the pods' tokens would cross the network in the clear", host)
	case c.Timeout < 0 || c.MaxRequest < 0 || c.MaxResponse < 0 || c.ReprobeAfter < 0 || c.HeartbeatTimeout < 0 || c.WatchBackoff < 0:
		return errors.New("limits and durations must not be negative")
	}
	return nil
}

// isLoopback takes "localhost" at its word; the dialer checks what it resolved to.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}
