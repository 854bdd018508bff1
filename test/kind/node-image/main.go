// Node is every program of a Kubernetes node and its control plane in one binary: the
// program's own name, or its first argument, chooses which. One binary, because linking
// is the slow part of a build and the programs share nearly all their code.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/coredns/coremain"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	os.Args[0] = filepath.Base(os.Args[0])
	if os.Args[0] == "node" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
	}
	os.Exit(run(os.Args))
}

// run starts the program named by args[0]. Some read the rest from os.Args themselves.
func run(args []string) int {
	switch args[0] {
	case "etcd":
		etcdmain.Main(args)
		return 0
	case "coredns":
		coremain.Run()
		return 0
	case "kubeadm":
		return bootstrap()
	case "kubectl":
		return kubectl(args)
	}
	if command := kubernetes(args[0]); command != nil {
		return serve(command)
	}
	fmt.Fprintf(os.Stderr, "unknown program %q\n", args[0])
	return 2
}
