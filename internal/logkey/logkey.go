// Package logkey holds the keys of log attributes, so that a line can be searched for
// by one spelling.
package logkey

// Keys of structured log lines.
const (
	Address        = "address"
	Cause          = "cause"
	Clouds         = "clouds"
	Code           = "code"
	Contract       = "contract"
	Duration       = "duration"
	Entries        = "entries"
	Entry          = "entry"
	Error          = "error"
	Generation     = "generation"
	Held           = "held"
	Largest        = "largest"
	Limit          = "limit"
	Method         = "method"
	LevelNow       = "level_now"
	Namespace      = "namespace"
	Notice         = "notice"
	Outcome        = "outcome"
	Path           = "path"
	Pod            = "pod"
	PodUID         = "pod_uid"
	Request        = "request"
	ServiceAccount = "service_account"
	Source         = "source"
	Sources        = "sources"
	Stack          = "stack"
	TLS            = "tls"
	Until          = "until"
	Untold         = "untold"
	Version        = "version"
	VolumeID       = "volume_id"
	Volumes        = "volumes"
)
