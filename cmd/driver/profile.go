package main

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
)

// profilePages are Go's profiles. They show function names, and in a heap's or a
// goroutine's profile no values; still they are for this node alone.
func profilePages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// isLoopback takes numbers alone: what a name leads to can change.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
