package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// fileFlags name what check and render read.
type fileFlags struct {
	connections, variables, entries, rules, sealKeyFile string
	allowEmpty                                          bool
	versioner                                           store.Versioner
}

func (f *fileFlags) bind(flags *flag.FlagSet) {
	flags.StringVar(&f.connections, "connections", "", "the export `file` of connections")
	flags.StringVar(&f.variables, "variables", "", "the export `file` of variables")
	flags.StringVar(&f.entries, "entries", "", "the `folder` of teams' export files")
	flags.StringVar(&f.rules, "rules", "", "the `file` of rules, or the folder of the admin's and of teams'")
	flags.BoolVar(&f.allowEmpty, "allow-empty", false, "take files without entries, too")
	flags.StringVar(&f.sealKeyFile, "seal-key-file", "", "the `file` with the key of sealed values, 32 bytes as base64 or hex")
}

func (f *fileFlags) read() (*store.Store, error) {
	if f.connections == "" && f.variables == "" && f.entries == "" && f.rules == "" {
		return nil, cli.Usagef("no file; give --connections, --variables, --entries or --rules")
	}
	key, err := readSealKey(f.sealKeyFile)
	if err != nil {
		return nil, err
	}
	return store.New(store.Config{
		Connections: f.connections, Variables: f.variables, Entries: f.entries, Rules: f.rules,
		AllowEmpty: f.allowEmpty, SealKey: key, Versioner: f.versioner,
	})
}

// Keys come from a file or from these, never from the command line, which every user
// of the machine can read.
const (
	jwtKeyEnv  = "LEOFLOW_JWT_KEY"
	sealKeyEnv = "LEOFLOW_SEAL_KEY"
)

// readKey reads a key from file or, where that is empty, from the environment. It is
// empty where neither is there.
func readKey(file, environment string) (secret.Text, error) {
	if file == "" {
		return secret.New(os.Getenv(environment)), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading key: %w", err)
	}
	return secret.New(string(content)), nil
}

// readSealKey is nil where there is no key.
func readSealKey(file string) (*seal.Key, error) {
	text, err := readKey(file, sealKeyEnv)
	if err != nil || (file == "" && text.Len() == 0) {
		return nil, err
	}
	key, err := seal.ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyOrigin(file, sealKeyEnv), err)
	}
	return key, nil
}

func readJWTKey(file string) (secret.Text, error) {
	text, err := readKey(file, jwtKeyEnv)
	if err == nil && text.Len() == 0 {
		return secret.Text{}, cli.Usagef("no JWT key; give --jwt-key-file or set %s", jwtKeyEnv)
	}
	return text, err
}

func keyOrigin(file, environment string) string {
	if file != "" {
		return file
	}
	return "environment variable " + environment
}
