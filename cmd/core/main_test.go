package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// TestMain puts this binary into PATH as "core", and clients of it as "fetch" and
// "watch".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"core": main, "fetch": fetch, "watch": watch})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"replace": replace, "sign": sign, "told": told, "object": object, "trust": trust},
	})
}

// setUp gives a script a certificate, keys, an address and an API server of its own.
func setUp(env *testscript.Env) error {
	address, err := testport.Free()
	if err != nil {
		return err
	}
	env.Setenv("ADDRESS", address)
	files, err := servingPair()
	if err != nil {
		return err
	}
	kubernetes, err := kubetest.Start()
	if err != nil {
		return err
	}
	env.Defer(kubernetes.Close)
	env.Values[kubernetesValue{}] = kubernetes
	files["kubeconfig"] = kubernetes.Kubeconfig()
	files["jwt.key"] = []byte("n33dle-jwt-key-0a1B2c3D4e5F6g7H8i9J\n")
	files["seal.key"] = []byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" + "\n")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func servingPair() (map[string][]byte, error) {
	authority, err := testca.New("core's authority")
	if err != nil {
		return nil, err
	}
	pair, err := authority.Issue("core")
	return map[string][]byte{"tls.crt": pair.Certificate, "tls.key": pair.Key}, err
}

// kubernetesValue is the key of a script's API server.
type kubernetesValue struct{}

// sign puts the token of a service account's pod into a file.
func sign(script *testscript.TestScript, _ bool, args []string) {
	node := "node-1"
	if other, given := strings.CutPrefix(args[0], "-node="); given {
		node, args = other, args[1:]
	}
	token, err := script.Value(kubernetesValue{}).(*kubetest.Server).Sign(kubetest.Token{
		Namespace: args[0], ServiceAccount: args[1], Pod: "pod", PodUID: "1-2-3", Node: node,
		Audiences: []string{args[2]}, Expires: time.Now().Add(time.Hour),
	})
	script.Check(err)
	script.Check(os.WriteFile(script.MkAbs(args[3]), []byte(token.Reveal()), 0o600))
}

// replace puts the last output of a command into a file, by rename.
func replace(script *testscript.TestScript, _ bool, args []string) {
	path := script.MkAbs(args[0])
	script.Check(os.WriteFile(path+".new", []byte(script.ReadFile("stdout")), 0o600))
	script.Check(os.Rename(path+".new", path))
}

// object makes an object of Kubernetes anew, without data, or with "!" takes it away.
func object(script *testscript.TestScript, away bool, args []string) {
	server := script.Value(kubernetesValue{}).(*kubetest.Server)
	if away {
		server.Remove(args[0], args[1], args[2])
		return
	}
	server.Put(args[0], args[1], args[2], nil)
}

// trust puts ca.crt of a ConfigMap into the file by which clients know core, once it is there.
func trust(script *testscript.TestScript, _ bool, args []string) {
	server := script.Value(kubernetesValue{}).(*kubetest.Server)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	limit := time.After(testwait.Limit)
	for {
		data, _ := server.Data("configmaps", args[0], args[1])
		if text, ok := data["ca.crt"].(string); ok {
			script.Check(os.WriteFile(script.MkAbs("tls.crt"), []byte(text), 0o600))
			return
		}
		select {
		case <-look.C:
		case <-limit:
			script.Fatalf("there is no ca.crt")
		}
	}
}

// told returns once a namespace has an event of a reason, with a text in it.
func told(script *testscript.TestScript, _ bool, args []string) {
	server := script.Value(kubernetesValue{}).(*kubetest.Server)
	isMeant := func(event corev1.Event) bool {
		return event.Namespace == args[0] && event.Reason == args[1] && strings.Contains(event.Message, args[2])
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	limit := time.After(testwait.Limit)
	for !slices.ContainsFunc(server.Events(), isMeant) {
		select {
		case <-look.C:
		case <-limit:
			script.Fatalf("no such event; there are %v", server.Events())
		}
	}
}
