package main

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testflags"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Nobody waits for who writes to a pipe that is named in the place of a file, or reads one.
func TestAPipeIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, key := filepath.Join(dir, "pipe"), filepath.Join(dir, "key")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	require.NoError(t, os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(raw)), 0o600))
	connections, rules := written(t, `{"a": "http://h"}`), written(t, "rules: []")
	cert, certKey := pair(t, dir)
	serve := []string{"serve", "--listen=127.0.0.1:0", "--connections=" + connections, "--rules=" + rules, "--cert=" + cert, "--key=" + certKey, "--jwt-key-file=" + key}
	why := []string{"why", "--rules=" + rules, "--connections=" + connections, "team/etl", "a"}
	first := func(flag string, args []string) []string { // flags stand before what is not one
		return append([]string{args[0], flag + "=" + pipe}, args[1:]...)
	}
	last := func(args []string, flag string) []string { return append(args[:len(args):len(args)], flag+"="+pipe) }
	rows := map[string][][]string{
		"connections":         {last(serve, "--connections"), {"check", "--connections=" + pipe}, {"seal", "--seal-key-file=" + key, "--connections=" + pipe}},
		"variables":           {last(serve, "--variables"), {"check", "--variables=" + pipe}, {"seal", "--seal-key-file=" + key, "--variables=" + pipe}},
		"rules":               {last(serve, "--rules"), {"check", "--rules=" + pipe}},
		"cert":                {last(serve, "--cert")},
		"key":                 {last(serve, "--key"), first("--key", why)},
		"client-ca":           {last(serve, "--client-ca")},
		"seal-key-file":       {last(serve, "--seal-key-file"), {"seal", "--connections=" + connections, "--seal-key-file=" + pipe}},
		"jwt-key-file":        {last(serve, "--jwt-key-file"), first("--jwt-key-file", why), {"token", "--tenant=a", "--jwt-key-file=" + pipe}},
		"kubeconfig":          {append(last(serve, "--kubeconfig"), "--auth=tokenreview")},
		"airflow-db":          {last(serve, "--airflow-db"), {"check", "--airflow-db=" + pipe}},
		"airflow-fernet-keys": {append(last(serve, "--airflow-fernet-keys"), "--airflow-db="+written(t, "postgresql://127.0.0.1:1/airflow"))},
		"audit-log":           {{"who", "--rules=" + rules, "--connections=" + connections, "--audit-log=" + pipe, "a"}},
	}
	run := func(t *testing.T, args []string, says string) {
		t.Helper()
		out, code := new(testwait.Output), make(chan int, 1)
		go func() { code <- program().Execute(t.Context(), args, cli.Streams{Out: out, Err: out}) }()
		assert.NotEqual(t, cli.OK, testwait.Receive(t, code), out)
		assert.Contains(t, out.String(), says)
	}
	for name, lines := range rows {
		t.Run(name, func(t *testing.T) {
			for _, args := range lines {
				run(t, args, "is no regular file")
			}
		})
	}
	run(t, last(serve, "--audit-log"), "no such device or address")
	for _, flag := range testflags.OfFiles(program()) {
		assert.Contains(t, rows, flag)
	}
}

// pair is a certificate of core's and its key, in files.
func pair(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	ca, err := testca.New("authority")
	require.NoError(t, err)
	issued, err := ca.Issue("core")
	require.NoError(t, err)
	cert, key = filepath.Join(dir, "core.crt"), filepath.Join(dir, "core.key")
	require.NoError(t, os.WriteFile(cert, issued.Certificate, 0o600))
	require.NoError(t, os.WriteFile(key, issued.Key, 0o600))
	return cert, key
}
