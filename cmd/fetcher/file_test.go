package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/testflags"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Nobody waits for who writes to a pipe that is named in the place of a file.
func TestAPipeIsNoFile(t *testing.T) {
	path, exported := directory(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	into := []string{"--into=" + path, "--connections=a", "--wait=10ms"}
	core := append(into, "--core-address=127.0.0.1:1", "--task-token-file="+exported)
	rows := map[string][]string{
		"core-ca":          append(core, "--core-ca="+pipe),
		"core-cert":        append(core, "--core-cert="+pipe, "--core-key="+exported),
		"core-key":         append(core, "--core-cert="+exported, "--core-key="+pipe),
		"core-token-file":  {"doctor", "--core-address=127.0.0.1:1", "--core-token-file=" + pipe},
		"file-connections": append(into, "--file-connections="+pipe),
		"file-variables":   append(into, "--file-variables="+pipe),
		"kubeconfig":       append(into, "--kubernetes-secrets", "--kubeconfig="+pipe),
		"source-vault-ca":  append(into, `--source-vault-kwargs={"url": "https://127.0.0.1:1"}`, "--source-vault-ca="+pipe),
		"cloud-ca":         append(into, "--clouds=aws", "--cloud-ca="+pipe, "--file-connections="+exported),
		"token-file":       append(into, "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--token-file="+pipe),
		"task-token-file":  append(into, "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--task-token-file="+pipe),
		"kwargs":           append(into, "--source-vault-kwargs=@"+pipe),
	}
	for name, args := range rows {
		t.Run(name, func(t *testing.T) {
			out, code := new(testwait.Output), make(chan int, 1)
			go func() { code <- programOf("").Execute(t.Context(), args, cli.Streams{Out: out, Err: out}) }()
			assert.NotEqual(t, cli.OK, testwait.Receive(t, code), out)
			assert.Contains(t, out.String(), "is no regular file")
		})
	}
	for _, flag := range testflags.OfFiles(program()) {
		assert.Contains(t, rows, flag)
	}
}
