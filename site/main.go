// Site writes the documents as a site: plain files that need no server, no script of
// anybody else's and no network. A link that leads nowhere fails it.
//
//	go run . --out ../dist/site
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// repository is where files that are no pages are linked to.
const repository = "https://github.com/leoflow/secrets-csi"

// front is the page that the site begins with; its sections are the menu.
const front = "docs/README.md"

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("site", flag.ContinueOnError)
	root := flags.String("root", "..", "the `directory` of the repository")
	out := flags.String("out", filepath.Join("..", "dist", "site"), "the `directory` to write to, replacing the site in it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	site, err := load(os.DirFS(*root))
	if err != nil {
		return err
	}
	if err := site.write(*out); err != nil {
		return fmt.Errorf("writing the site: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%d pages: %s\n", len(site.pages), filepath.Join(*out, "index.html"))
	return err
}
