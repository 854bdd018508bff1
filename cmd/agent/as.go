package main

import (
	"flag"

	"github.com/leoflow/secrets-csi/pkg/envshim"
)

// shapes are connections in other programs' words.
type shapes []envshim.Shape

func bindAs(flags *flag.FlagSet) *shapes {
	as := new(shapes)
	flags.Var(as, "as", "set fields of connections too, by a `list`: libpq=CONN_ID sets PGHOST, PGPASSWORD and the rest, fields=CONN_ID sets CONN_ID_HOST, CONN_ID_PASSWORD and the rest")
	return as
}

func (*shapes) String() string { return "" }

// Set adds to what was said before.
func (s *shapes) Set(text string) error {
	parsed, err := envshim.ParseShapes(text)
	*s = append(*s, parsed...)
	return err
}
