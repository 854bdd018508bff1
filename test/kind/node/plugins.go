package main

// What a cluster's own names need, and no more: every CoreDNS plugin brings its
// dependencies along, the cloud ones the most.
import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)
