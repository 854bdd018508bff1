package move

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// socketVariable is the environment variable with the socket at which the test answers.
	socketVariable = "LEOFLOW_TEST_MOVE"
	testProgram    = "move.test"
)

// typed is a command as a program of the reader's was given it.
type typed struct {
	Program, Dir, Stdin string
	Args                []string
}

// answer is what the program prints; an error makes it fail.
type answer struct{ Output, Error string }

// askTest is the whole of a program that the test stands in for.
func askTest(program string) (code int) {
	command := typed{Program: program, Args: os.Args[1:]}
	command.Dir, _ = os.Getwd()
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) == os.ModeNamedPipe {
		input, _ := io.ReadAll(os.Stdin)
		command.Stdin = string(input)
	}
	body, _ := json.Marshal(command)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", os.Getenv(socketVariable))
	}}}
	response, err := client.Post("http://test", "application/json", bytes.NewReader(body)) //nolint:noctx // it lives as long as the command
	var said answer
	if err == nil {
		err = errors.Join(json.NewDecoder(response.Body).Decode(&said), response.Body.Close())
	}
	if err != nil {
		said.Error = err.Error()
	}
	fmt.Print(said.Output)
	if said.Error != "" {
		fmt.Fprintln(os.Stderr, said.Error)
		return 1
	}
	return 0
}

// program does what a command asks for, and returns what it prints.
type program func(command typed) (string, error)

// answerPrograms puts programs of these names into a directory, and has the test be what they do.
func answerPrograms(t *testing.T, programs map[string]program) (dir, socket string) {
	t.Helper()
	dir, socket = t.TempDir(), filepath.Join(t.TempDir(), "s")
	self, err := os.Executable()
	require.NoError(t, err)
	for name := range programs {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var command typed
		var said answer
		err := json.NewDecoder(r.Body).Decode(&command)
		if err == nil {
			said.Output, err = programs[command.Program](command)
		}
		if err != nil {
			said.Error = err.Error()
		}
		_ = json.NewEncoder(w).Encode(said)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return dir, socket
}

// words are the arguments that are no options, and the options by their names without dashes.
func (c typed) words(bare ...string) (words []string, options map[string][]string) {
	options = map[string][]string{}
	for i := 0; i < len(c.Args); i++ {
		name, isOption := strings.CutPrefix(c.Args[i], "-")
		name, value, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		switch {
		case !isOption:
			words = append(words, c.Args[i])
			continue
		case !given && !slices.Contains(bare, name) && i+1 < len(c.Args):
			i++
			value = c.Args[i]
		}
		options[name] = append(options[name], value)
	}
	return words, options
}

// is tells whether the words begin so.
func is(words []string, begin string) bool {
	return strings.HasPrefix(strings.Join(words, " ")+" ", begin+" ")
}

func (c typed) unknown() (string, error) {
	return "", fmt.Errorf("%s %s: the test does not know what this does", c.Program, strings.Join(c.Args, " "))
}

// local runs a program that there is.
func local(path string, env ...string) program {
	return func(c typed) (string, error) {
		command := exec.Command(path, c.Args...) //nolint:noctx // it ends by itself
		command.Dir, command.Env, command.Stdin = c.Dir, append(os.Environ(), env...), strings.NewReader(c.Stdin)
		output, err := command.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, output)
		}
		return string(output), nil
	}
}
