package main

import (
	"flag"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

// fileFlags name what check and render read.
type fileFlags struct {
	connections, variables, rules, sealKeyFile string
}

func (f *fileFlags) bind(flags *flag.FlagSet) {
	flags.StringVar(&f.connections, "connections", "", "the export `file` of connections")
	flags.StringVar(&f.variables, "variables", "", "the export `file` of variables")
	flags.StringVar(&f.rules, "rules", "", "the `file` of rules")
	flags.StringVar(&f.sealKeyFile, "seal-key-file", "", "the `file` with the key of sealed values, 32 bytes as base64 or hex")
}

func (f *fileFlags) read() (*store.Store, error) {
	if f.connections == "" && f.variables == "" && f.rules == "" {
		return nil, cli.Usagef("no file; give --connections, --variables or --rules")
	}
	key, err := readSealKey(f.sealKeyFile)
	if err != nil {
		return nil, err
	}
	return store.New(store.Config{Connections: f.connections, Variables: f.variables, Rules: f.rules, SealKey: key})
}
