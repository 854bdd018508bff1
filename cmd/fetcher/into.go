package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/into"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Exit codes of --into besides those of every program.
const (
	exitRefused     = 3
	exitUnavailable = 4
	exitSignalled   = 128 // and the signal's number
)

// intoSettings are the flags of a delivery into a directory. Those that have the names of a volume's
// attributes take what they take.
type intoSettings struct {
	directory  string
	allowDisk  bool
	watch      bool
	wait       time.Duration
	written    map[string]*string
	tokenFiles string
	taskToken  string
	audience   string
	volumeSize cli.Size
	lastWords  lastWords
}

func (s *intoSettings) bind(flags *flag.FlagSet) {
	flags.StringVar(&s.directory, "into", "", "fill this `directory`, without a driver, and end; it is on a tmpfs, as an emptyDir of medium Memory is, and empty or what an earlier fetcher filled")
	flags.BoolVar(&s.allowDisk, "allow-disk", false, "with --into, take a directory that is not in memory, too: values are then on a disk")
	flags.BoolVar(&s.watch, "watch", false, "with --into, go on until SIGTERM: rotate, withdraw, and take in renewed tokens")
	flags.DurationVar(&s.wait, "wait", time.Minute, "with --into, how long to try while a source cannot be asked, without --watch")
	s.written = map[string]*string{}
	for name, usage := range map[string]string{
		attribute.Connections: "with --into, the `ids` of connections, with commas between them; ? after one that may be missing, @SOURCE before that, * for all",
		attribute.Variables:   "with --into, the `keys` of variables, written alike",
		attribute.Source:      "with --into, the `name` of the source of what names none; empty for core, or the first that there is",
		attribute.Format:      "with --into, the `format` of the connections' files: uri or json; empty for uri",
		attribute.Mode:        "with --into, the files' octal `mode`; empty for 0440",
		attribute.Keyless:     "with --into, the `ids` of connections for which the pod's own identity at the cloud has to stand; empty for all that go without credentials",
		attribute.Refresh:     "with --into, the `duration` after which to fetch again, where that is not left to --poll-every",
	} {
		s.written[name] = flags.String(name, "", usage)
	}
	flags.StringVar(&s.tokenFiles, "token-file", "", "with --into, `files` of the pod's projected service-account tokens, with commas between them; each says itself for which audience it is; read again as they change")
	flags.StringVar(&s.taskToken, "task-token-file", "", "with --into, `file` of a task instance's own token for core, in the place of the service account's")
	flags.StringVar(&s.audience, "core-audience", seam.CoreAudience, "the `audience` of the pods' tokens for core, as the driver's flag has it: which token of --token-file is for core")
	s.volumeSize = 16 << 20
	flags.Var(&s.volumeSize, "volume-size", "with --into, the `size` that the files may take, such as 4Mi; the directory needs twice as much, for what is delivered next")
}

// attributes are those that are given.
func (s *intoSettings) attributes() map[string]string {
	given := map[string]string{}
	for name, text := range s.written {
		if *text != "" {
			given[name] = *text
		}
	}
	return given
}

func (s *intoSettings) tokens() into.Tokens {
	tokens := into.Tokens{TaskFile: s.taskToken, Audience: s.audience}
	for path := range strings.SplitSeq(s.tokenFiles, ",") {
		if path = strings.TrimSpace(path); path != "" {
			tokens.Files = append(tokens.Files, path)
		}
	}
	return tokens
}

// check says what is wrong with the flags of --into, or that they are given without it. isForNode is set if
// one is given that only the fetcher of a node has a use for.
func (s *intoSettings) check(mistakes *cli.Mistakes, isForNode bool) {
	if s.directory == "" {
		isGiven := s.allowDisk || s.watch || s.tokenFiles != "" || s.taskToken != "" || len(s.attributes()) > 0
		mistakes.If(isGiven, "--allow-disk, --watch, --connections, --variables, --source, --format, --mode, --refresh, --keyless, --token-file and --task-token-file need --into")
		return
	}
	mistakes.If(isForNode, "--events, --startup-taint and --offline-grace are for the pods of a node, and go not with --into")
	mistakes.If(s.wait <= 0, "--wait must be above 0")
	mistakes.If(s.audience == "", "--core-audience must not be empty")
	mistakes.If(s.volumeSize < daemon.MinVolumeSize, "--volume-size %v is too small; %v is the least", s.volumeSize, daemon.MinVolumeSize)
}

// runInto is the program with --into.
func runInto(ctx context.Context, s settings, sources sources, resolver provider.Resolver, metrics *metric.Metrics, log *slog.Logger) error {
	wanted, err := attribute.Parse(s.into.attributes(), sources.names, "--into", func(name string) string { return "--" + name })
	if err != nil {
		return &cli.ExitError{Code: cli.Misuse, Err: err}
	}
	if wanted.Mode&0o400 == 0 { // which root needs not, and a sidecar does
		return cli.Usagef("--mode: %#o does not let the fetcher's own user read, as its startup probe has to; write it like 0440", wanted.Mode)
	}
	path, err := filepath.Abs(s.into.directory)
	if err != nil {
		return fmt.Errorf("--into: %w", err)
	}
	folder, err := mount.OpenFolder(path, mount.FolderOptions{AllowDisk: s.into.allowDisk})
	if err != nil {
		return fmt.Errorf("--into: %w%s", err, remedyOf(err))
	}
	defer folder.Close()
	delivery := into.New(into.Config{
		Folder:  folder,
		Fetcher: bounded{s.fetcher(sources, resolver, report.Readers{Log: log, Observer: metrics.Fetcher()}), newBudget()},
		Wanted:  wanted, Tokens: s.into.tokens(), Waiting: s.into.waiting,
		VolumeSize: int64(s.into.volumeSize), PollEvery: s.pollEvery,
		Readers: report.Readers{Log: log, Observer: deliveries{metrics.Fetcher(), metrics}},
	})
	if !s.into.watch {
		limited, cancel := context.WithTimeout(ctx, s.into.wait)
		defer cancel()
		return orEnded(ctx, withCode(delivery.Once(limited)))
	}
	sites, err := s.listenHTTP(ctx, func(context.Context) error { return delivery.Problem() }, metrics, log)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, site := range sites {
		group.Go(func() error { return site.Serve(ctx) })
	}
	group.Go(func() error { return withCode(delivery.Watch(ctx)) })
	return daemon.WaitFor(ctx, group.Wait, daemon.Deadline)
}

// remedyOf says what to do about a directory that cannot be filled.
func remedyOf(err error) string {
	switch {
	case errors.Is(err, mount.ErrDisk):
		return ": give an emptyDir of medium Memory, or a directory below /dev/shm, or --allow-disk if values may be on a disk"
	case errors.Is(err, mount.ErrOwner):
		return ", who could read or change what is in it: give a directory of this user's own, such as one of mktemp -d"
	case errors.Is(err, mount.ErrTarget):
		return ": give the directory itself"
	default:
		return ""
	}
}

// waiting says what a delivery waits for, and nothing once there is nothing.
func (s *intoSettings) waiting(why error) {
	s.lastWords.say(why)
	if why == nil && s.watch {
		daemon.Settle()
	}
}

// orEnded tells a run that somebody ended from one that failed, by the exit code that shells have for it.
func orEnded(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	code := exitSignalled + int(syscall.SIGTERM)
	if strings.HasPrefix(context.Cause(ctx).Error(), os.Interrupt.String()) {
		code = exitSignalled + int(syscall.SIGINT)
	}
	return &cli.ExitError{Code: code, Err: fmt.Errorf("ended by a signal before the directory was complete: %w", err)}
}

// withCode tells by the exit code whose turn it is.
func withCode(err error) error {
	var failure *report.Error
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Reason {
	case report.Denied, report.Missing, report.Invalid, report.Unauthenticated:
		return &cli.ExitError{Code: exitRefused, Err: err}
	case report.Unavailable, report.Deadline:
		return &cli.ExitError{Code: exitUnavailable, Err: err}
	default:
		return err
	}
}

func completeCommand(words lastWords) cli.Command {
	return cli.Command{
		Name:    "complete",
		Summary: "Tells by its exit code whether the directory of --into shows a complete delivery.",
		Details: `It is for the startup probe of a sidecar that runs 'fetcher --into DIR --watch': 0 once all
files are there, 1 before. It asks nobody and reads no value. What the sidecar waits for it
says too, so that kubelet's event of the failed probe has it.`,
		Examples: `fetcher complete --into /secrets`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			directory := flags.String("into", "", "the `directory`")
			return func(_ context.Context, streams cli.Streams, _ []string) error {
				if *directory == "" {
					return cli.Usagef("--into is needed")
				}
				found, err := mount.LookInto(*directory)
				if why := words.said(); err != nil && why != "" {
					err = fmt.Errorf("%w: %s", err, why)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(streams.Out, "generation %d of %d entries\n", found.Manifest.Generation, len(found.Manifest.Entries))
				return err
			}
		},
	}
}

// deliveries counts what becomes of the directory.
type deliveries struct {
	report.Observer
	metrics *metric.Metrics
}

func (d deliveries) Delivered(one report.Report) { d.metrics.Delivered(one.Delivery()) }
