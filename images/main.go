// Images puts the programs that release/programs.sh built into container images, as tar files and
// with no container engine. Each is one static binary on nothing, at the root of the file system: a pod may mount the image
// as a volume and finds it there. The same programs make the same bytes. It is our own since ko
// cannot build from scratch, puts programs below /ko-app, and has no place for CA certificates.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() { os.Exit(program().Run(func() error { return nil })) }

// options are the flags.
type options struct {
	programs, out             string
	tag, revision, repository string
	created                   int64
	report                    func(line string) // receives one line for each image
}

func program() cli.Program {
	summary := "Images puts programs into container images as tar files, with no container engine."
	return cli.Program{Name: "images", Summary: summary, Main: &cli.Command{
		Name: "images", Summary: summary,
		Details: `For each program there is NAME-linux-ARCH.tar, a docker-archive for 'docker load',
'ctr images import' and 'kind load image-archive'; and NAME.oci.tar, an OCI layout of all
platforms, to push to a registry. digests.txt has what to pin the images of all platforms by. An
image that exceeds its budget fails the build.`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			var o options
			flags.StringVar(&o.programs, "programs", "../dist/programs", "the `directory` with the programs, as NAME-linux-ARCH, and their licenses, as NAME-linux-ARCH.licenses")
			flags.StringVar(&o.out, "out", "../dist/images", "the `directory` to write to")
			flags.StringVar(&o.tag, "tag", "dev", "the `version` that the images are tagged with")
			flags.StringVar(&o.revision, "revision", "", "the `commit` that the images tell")
			flags.Int64Var(&o.created, "created", 0, "when that was, in `seconds` since 1970: the images say that they were made then")
			flags.StringVar(&o.repository, "repository", "leoflow/secrets-csi", "the `repository` that the images' names begin with")
			return func(_ context.Context, streams cli.Streams, _ []string) error {
				o.report = func(line string) { _, _ = fmt.Fprintln(streams.Out, line) }
				return build(o)
			}
		},
	}}
}

// recipe is what distinguishes one image from another.
type recipe struct {
	name, summary, user string
	// beside are other programs in the image, of the same user unless it is run as another.
	beside []string
	// roots puts the CA certificates of public servers into the image, python the wheel of
	// leoflow_runtime beside the program.
	roots, python bool
	// budget bounds the uncompressed bytes.
	budget int64
}

// recipes are all images. 65532 is the number that distroless images use, which policies in the
// field know. The driver mounts; the fetcher, in the same image, is run as 65532, and asks the clouds and
// cores with a public certificate.
func recipes() []recipe {
	return []recipe{
		{"driver", "Node driver that delivers Airflow connections and variables to pods as files", "0:0", []string{"fetcher"}, true, false, 65_000_000},
		{"agent", "Hands the delivered connections and variables to a program as environment variables", "65532:65532", nil, false, true, 4_000_000},
		{"core", "Bundled core, which serves connections and variables from Airflow export files", "65532:65532", nil, false, false, 65_000_000},
	}
}

// build makes every image. It goes on past one that exceeds its budget, to tell of all.
func build(o options) error {
	excesses := []error{os.MkdirAll(o.out, 0o755)}
	var digests strings.Builder
	for _, r := range recipes() {
		programs, err := filepath.Glob(filepath.Join(o.programs, r.name+"-linux-*[0-9]"))
		if err != nil || len(programs) == 0 {
			return fmt.Errorf("there is no program %s in %s", r.name, o.programs)
		}
		var index v1.ImageIndex = empty.Index
		for _, path := range programs {
			_, architecture, _ := strings.Cut(filepath.Base(path), "-linux-")
			platform := v1.Platform{OS: "linux", Architecture: architecture}
			image, files, err := buildPlatform(o, r, platform, path)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			excesses = append(excesses, r.measure(o, platform, files))
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
		}
		digest, err := index.Digest()
		if err := errors.Join(err, writeLayout(o, r, index)); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		_, _ = fmt.Fprintf(&digests, "%s@%s\n", o.reference(r), digest)
	}
	return errors.Join(append(excesses, os.WriteFile(filepath.Join(o.out, "digests.txt"), []byte(digests.String()), 0o644))...)
}

// reference is what the image is called.
func (o options) reference(r recipe) string { return o.repository + "/" + r.name + ":" + o.tag }

// measure reports the size of an image, and fails above its budget.
func (r recipe) measure(o options, platform v1.Platform, files []file) error {
	size := 0.0
	for _, f := range files {
		size += float64(len(f.content))
	}
	text := fmt.Sprintf("%s for %s has %.2f MB uncompressed; its budget is %.2f MB", r.name, platform, size/1e6, float64(r.budget)/1e6)
	o.report(text)
	if size > float64(r.budget) {
		return errors.New(text)
	}
	return nil
}
