package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/keyfile"
	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// fileFlags name what check and render read.
type fileFlags struct {
	connections, variables, entries, rules, sealKeyFile string
	allowEmpty                                          bool
	versioner                                           store.Versioner
	metastore                                           metastore.Config
	memory                                              cli.Size
}

// chartMemory is what core's container may take where nobody set anything else: files that are sound
// here are so there.
const chartMemory cli.Size = 128 << 20

func (f *fileFlags) bind(flags *flag.FlagSet) {
	flags.StringVar(&f.connections, "connections", "", "the export `file` of connections")
	flags.StringVar(&f.variables, "variables", "", "the export `file` of variables")
	flags.StringVar(&f.entries, "entries", "", "the `folder` of teams' export files")
	flags.StringVar(&f.rules, "rules", "", "the `file` of rules, or the folder of the admin's and of teams'")
	flags.BoolVar(&f.allowEmpty, "allow-empty", false, "take files without entries, too")
	f.memory = chartMemory
	flags.Var(&f.memory, "memory", "the `size` of the memory that core's container may take, by which core bounds its files; 0 for no limit")
	bindMetastore(flags, &f.metastore)
	flags.StringVar(&f.sealKeyFile, "seal-key-file", "", "the `file` with the key of sealed values, 32 bytes as base64 or hex")
}

// bindMetastore is for all that read Airflow's database.
func bindMetastore(flags *flag.FlagSet, config *metastore.Config) {
	flags.StringVar(&config.URLFile, "airflow-db", "", "the `file` with the URL of Airflow's own PostgreSQL database, as sql_alchemy_conn has it; its tables connection and variable are read, and never written")
	flags.StringVar(&config.KeysFile, "airflow-fernet-keys", "", "the `file` with Airflow's Fernet keys, comma-separated as [core] fernet_key has them; with --airflow-db")
}

// metastoreMisuse is what is wrong with those flags alone.
func metastoreMisuse(config metastore.Config) error {
	if config.KeysFile != "" && config.URLFile == "" {
		return cli.Usagef("--airflow-fernet-keys goes with --airflow-db")
	}
	return nil
}

func (f *fileFlags) read(ctx context.Context) (*store.Store, error) {
	if f.connections == "" && f.variables == "" && f.entries == "" && f.rules == "" && f.metastore.URLFile == "" {
		return nil, cli.Usagef("no file; give --connections, --variables, --entries, --airflow-db or --rules")
	}
	if err := metastoreMisuse(f.metastore); err != nil {
		return nil, err
	}
	key, err := readSealKey(f.sealKeyFile)
	if err != nil {
		return nil, err
	}
	files, err := store.New(store.Config{
		Connections: f.connections, Variables: f.variables, Entries: f.entries, Rules: f.rules, Metastore: f.metastore.URLFile,
		AllowEmpty: f.allowEmpty, Memory: int64(f.memory), SealKey: key, Versioner: f.versioner,
	})
	if err != nil || f.metastore.URLFile == "" {
		return files, err
	}
	return files, f.look(ctx, files)
}

// look adds what Airflow's database holds now.
func (f *fileFlags) look(ctx context.Context, files *store.Store) error {
	reader, err := metastore.New(f.metastore)
	if err != nil {
		return err
	}
	defer reader.Close()
	_, err = files.Take(reader.Look(ctx))
	return err
}

// Keys come from a file or from these, never from the command line, which every user
// of the machine can read.
const (
	jwtKeyEnv  = "LEOFLOW_JWT_KEY"
	sealKeyEnv = "LEOFLOW_SEAL_KEY"
)

// readKey reads a key from the file that a flag names or, where that is empty, from the
// environment. It is empty where neither is there.
func readKey(flag, file, environment string) (secret.Text, error) {
	if file == "" {
		return secret.New(os.Getenv(environment)), nil
	}
	return keyfile.Read(flag, file)
}

// readSealKey is nil where there is no key.
func readSealKey(file string) (*seal.Key, error) {
	text, err := readKey("--seal-key-file", file, sealKeyEnv)
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
	text, err := readKey("--jwt-key-file", file, jwtKeyEnv)
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
