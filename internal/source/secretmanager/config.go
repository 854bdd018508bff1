package secretmanager

import (
	"cmp"
	"time"
)

// Config is what a Resolver is made of. A zero duration or number takes its default.
type Config struct {
	// Clouds are those in use, by their name in references: "gcp", "aws", "azure".
	Clouds map[string]Cloud
	// Annotations reads service accounts; nil where none has any.
	Annotations Annotations
	// AnnotationsFor is how long what Annotations returned is kept; a minute by default.
	AnnotationsFor time.Duration
	// LatestFor is how long the latest version of a secret is taken for the latest;
	// a minute by default.
	LatestFor time.Duration
	// PinnedFor is how long a secret of a given version is kept, which is how long a
	// right that was taken away is not noticed; ten minutes by default.
	PinnedFor time.Duration
	// SessionFor is how long a session is used, and with it the pod's token that it was
	// opened with; ten minutes by default.
	SessionFor time.Duration
	// CacheBytes bounds what the secrets kept take up; 4 MiB by default.
	CacheBytes int
	// CallsAtOnce bounds the calls to one cloud that are under way; 64 by default. One
	// identity has sixteen of them at most.
	CallsAtOnce int
	// Called is told how each attempt of a call ended, by gRPC's name of the code; nil tells nobody. What an
	// identity is exchanged by is part of the attempt that needs it.
	Called func(code string)
	// Timeout bounds one call, CallTimeout one attempt of it; 20 and 5 seconds by
	// default.
	Timeout, CallTimeout time.Duration
}

func withDefaults(config Config) Config {
	config.AnnotationsFor = cmp.Or(config.AnnotationsFor, time.Minute)
	config.LatestFor = cmp.Or(config.LatestFor, time.Minute)
	config.PinnedFor = cmp.Or(config.PinnedFor, 10*time.Minute)
	config.SessionFor = cmp.Or(config.SessionFor, 10*time.Minute)
	config.CacheBytes = cmp.Or(config.CacheBytes, 4<<20)
	config.CallsAtOnce = cmp.Or(config.CallsAtOnce, 64)
	if config.Called == nil {
		config.Called = func(string) {}
	}
	config.Timeout = cmp.Or(config.Timeout, 20*time.Second)
	config.CallTimeout = cmp.Or(config.CallTimeout, 5*time.Second)
	return config
}
