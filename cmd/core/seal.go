package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/internal/coreserver/sealfile"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mostSealed is what a file may have that is to be sealed; core reads none that is larger.
const mostSealed = 16 << 20

func sealCommand() cli.Command {
	return cli.Command{
		Name:    "seal",
		Summary: "Encrypts values of export files, so that core alone can open them.",
		Details: `With --connections or --variables it prints the file with every secret sealed: variables,
connections that are one string, and the fields password and extra. What is sealed
already stays as it is, unless it is of version 1, which is sealed again. With --connection
or --variable it seals what it reads from standard input, less one newline at the end, and
prints the text to put into the file.

A sealed value is bound to its entry and field and does not open elsewhere. A password or
extra is bound to the connection's host, port, type, login and schema as well: give the
file that has them by --connections beside --connection, and seal again when one of them
changes. The key comes from a file or from LEOFLOW_SEAL_KEY: 32 bytes as base64 or hex.`,
		Examples: `# a key, then a whole file
head -c 32 /dev/urandom | base64 > seal.key
core seal --seal-key-file seal.key --connections connections.json > sealed.json
# one password, one variable
printf %s "$PASSWORD" | core seal --seal-key-file seal.key --connections connections.json --connection warehouse --field password
core seal --seal-key-file seal.key --variable region < region.txt`,
		Bind: bindSeal,
	}
}

type sealFlags struct {
	keyFile, connections, variables, connection, variable, field string
}

func bindSeal(flags *flag.FlagSet) cli.Run {
	var raw sealFlags
	flags.StringVar(&raw.keyFile, "seal-key-file", "", "the `file` with the key, 32 bytes as base64 or hex")
	flags.StringVar(&raw.connections, "connections", "", "the export `file` of connections to seal")
	flags.StringVar(&raw.variables, "variables", "", "the export `file` of variables to seal")
	flags.StringVar(&raw.connection, "connection", "", "the `id` of the connection that standard input belongs to")
	flags.StringVar(&raw.variable, "variable", "", "the `key` of the variable that standard input is")
	flags.StringVar(&raw.field, "field", "", "the connection's `field`: password, extra or value (all of it, as a URI or JSON)")
	return func(_ context.Context, streams cli.Streams, _ []string) error {
		return sealOne(streams, raw)
	}
}

// isField tells that one field of a connection is to be sealed, which --connections has.
func (f sealFlags) isField() bool { return f.connection != "" && f.field != seal.Whole }

// misuse is what is wrong with the flags.
func (f sealFlags) misuse() error {
	given := 0
	for _, each := range []string{f.connections, f.variables, f.connection, f.variable} {
		if each != "" {
			given++
		}
	}
	if f.isField() && f.connections != "" {
		given-- // which says what the field is of
	}
	switch {
	case given != 1:
		return cli.Usagef("what to seal? give one of --connections, --variables, --connection and --variable")
	case f.connection != "" && f.field != "password" && f.field != "extra" && f.field != seal.Whole:
		return cli.Usagef("--field=%s: want password, extra or value with --connection", f.field)
	case f.connection == "" && f.field != "":
		return cli.Usagef("--field goes with --connection alone")
	case f.isField() && f.connections == "":
		return cli.Usagef("--field=%s: what is it sealed for? give --connections too, a file in which the connection has its host, port, type, login and schema", f.field)
	}
	return nil
}

func sealOne(streams cli.Streams, raw sealFlags) error {
	if err := raw.misuse(); err != nil {
		return err
	}
	key, err := readSealKey(raw.keyFile)
	if err != nil {
		return err
	}
	if key == nil {
		return cli.Usagef("no seal key; give --seal-key-file or set %s", sealKeyEnv)
	}
	switch {
	case raw.isField():
		return sealField(streams, key, raw)
	case raw.connections != "":
		return sealFile(streams.Out, key, raw.connections, sealfile.Connections)
	case raw.variables != "":
		return sealFile(streams.Out, key, raw.variables, sealfile.Variables)
	case raw.connection != "":
		return sealInput(streams, key, seal.Place{Name: entry.Name{Kind: entry.Connection, ID: raw.connection}, Field: seal.Whole})
	default:
		return sealInput(streams, key, seal.Place{Name: entry.Name{Kind: entry.Variable, ID: raw.variable}, Field: seal.Whole})
	}
}

func sealFile(out io.Writer, key *seal.Key, file string, seals func(*seal.Key, string, []byte) ([]byte, error)) error {
	content, err := regular.Read(file, mostSealed)
	if err != nil {
		return fmt.Errorf("reading file: %w", err)
	}
	sealed, err := seals(key, file, content)
	if err != nil {
		return err
	}
	_, err = out.Write(sealed)
	return err
}

// sealField binds a field to the connection as the file has it.
func sealField(streams cli.Streams, key *seal.Key, raw sealFlags) error {
	content, err := regular.Read(raw.connections, mostSealed)
	if err != nil {
		return fmt.Errorf("reading file: %w", err)
	}
	place, err := sealfile.PlaceOf(raw.connections, content, raw.connection, raw.field)
	if err != nil {
		return err
	}
	return sealInput(streams, key, place)
}

func sealInput(streams cli.Streams, key *seal.Key, place seal.Place) error {
	content, err := io.ReadAll(streams.In)
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	value := secret.New(strings.TrimSuffix(string(content), "\n"))
	_, err = fmt.Fprintln(streams.Out, key.Seal(place, value))
	return err
}
