package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/core"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// TestMain puts this binary into PATH as "core", and a client of it as "fetch".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"core": main, "fetch": fetch})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"replace": replace},
	})
}

// setUp gives a script a certificate, keys and an address of its own.
func setUp(env *testscript.Env) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv("ADDRESS", listener.Addr().String())
	if err := listener.Close(); err != nil {
		return err
	}
	files, err := certificate()
	if err != nil {
		return err
	}
	files["jwt.key"] = []byte("n33dle-jwt-key-n33dle-jwt-key-00\n")
	files["seal.key"] = []byte(strings.Repeat("ab", 32) + "\n")
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func certificate() (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return map[string][]byte{
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, err
}

// replace puts the last output of a command into a file, by rename.
func replace(script *testscript.TestScript, _ bool, args []string) {
	path := script.MkAbs(args[0])
	script.Check(os.WriteFile(path+".new", []byte(script.ReadFile("stdout")), 0o600))
	script.Check(os.Rename(path+".new", path))
}

// fetch prints what core at $ADDRESS gives to the bearer of the token in the file
// named, once that has the text that may follow.
func fetch() {
	if err := fetchAll(os.Args[1], strings.Join(os.Args[2:], " ")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fetchAll(tokenFile, until string) error {
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	client, err := core.New(core.Config{Address: os.Getenv("ADDRESS"), CAFile: "tls.crt"})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	pod := provider.Identity{Token: secret.New(strings.TrimSpace(string(token)))}
	for {
		text, err := ask(ctx, client, pod)
		switch {
		case errors.Is(err, provider.ErrUnavailable) && ctx.Err() == nil: // core is still starting
		case err != nil:
			return err
		case strings.Contains(text, until):
			fmt.Print(text)
			return nil
		}
	}
}

func ask(ctx context.Context, client *core.Client, pod provider.Identity) (string, error) {
	all := provider.Selection{All: true}
	result, err := client.Fetch(ctx, pod, provider.Request{Connections: all, Variables: all})
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, c := range result.Connections {
		uri, err := c.Connection.URI()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s=%s\n", c.Connection.ID, uri)
	}
	for _, v := range result.Variables {
		fmt.Fprintf(&text, "%s=%s\n", v.Key, v.Value.Reveal())
	}
	return text.String(), nil
}
