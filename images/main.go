// Images builds the container images of the driver, the agent and core as tar files,
// with no container engine:
//
//	go run . --tag v1.2.3
//
// The same source and the same Go make the same bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program().Execute(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

func program() cli.Program {
	summary := "Images builds the container images as tar files, with no container engine."
	return cli.Program{
		Name:    "images",
		Summary: summary,
		Main: &cli.Command{
			Name:    "images",
			Summary: summary,
			Details: `For each image there is NAME-linux-ARCH.tar, a docker-archive for 'docker load',
'ctr images import' and 'kind load image-archive'; NAME.oci.tar, an OCI layout of all
platforms, to push to a registry; and with --sbom NAME-linux-ARCH.cdx.json, a CycloneDX
list of what is in it. digests.txt has what to pin the images of all platforms by. An
image that exceeds its budget fails the build.`,
			Examples: `# what a registry of your own would get
images --tag v1.2.3 --repository registry.example.com/leoflow
# one image for this machine alone
images --only agent --platforms linux/amd64`,
			Bind: bind,
		},
	}
}

func bind(flags *flag.FlagSet) cli.Run {
	var o options
	only := flags.String("only", "", "comma-separated `names` of the images to build; empty for all")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "comma-separated `platforms` to build for")
	flags.StringVar(&o.source, "source", "..", "the `directory` of the product's Go module")
	flags.StringVar(&o.out, "out", filepath.Join("..", "dist", "images"), "the `directory` to write to")
	flags.StringVar(&o.tag, "tag", "dev", "the `version` that the images are tagged with and the binaries tell")
	flags.StringVar(&o.revision, "revision", "", "the `commit` that the images and the binaries tell")
	flags.Int64Var(&o.created, "created", 0, "when that was, in `seconds` since 1970: the images say that they were made then")
	flags.StringVar(&o.binaries, "binaries", "", "the `directory` to leave the binaries in as well, as NAME-linux-ARCH, each with the licenses of what is in it")
	flags.StringVar(&o.repository, "repository", "leoflow/secrets-csi", "the `repository` that the images' names begin with")
	flags.BoolVar(&o.sbom, "sbom", false, "list what is in the images; building the tool for it takes minutes the first time")
	return func(ctx context.Context, streams cli.Streams, _ []string) (err error) {
		if o.recipes, err = chosen(*only); err != nil {
			return err
		}
		if o.platforms, err = parsePlatforms(*platforms); err != nil {
			return err
		}
		o.report = func(line string) { _, _ = fmt.Fprintln(streams.Out, line) }
		return build(ctx, o)
	}
}

// chosen are the recipes of the names, in the recipes' order.
func chosen(names string) ([]recipe, error) {
	if names == "" {
		return recipes(), nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		wanted[name] = true
	}
	var found []recipe
	for _, r := range recipes() {
		if wanted[r.name] {
			found = append(found, r)
			delete(wanted, r.name)
		}
	}
	for name := range wanted {
		return nil, cli.Usagef("--only: there is no image %q", name)
	}
	return found, nil
}
