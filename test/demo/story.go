package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/test/stack"
)

// The needles are the passwords of the story; they are masked wherever they are shown.
const (
	firstPassword  = "correct-horse-battery"
	secondPassword = "staple-rotated-today"
)

// story is the demo while it is told.
type story struct {
	*stack.Stack
	bin string
	pod stack.Pod
}

// tell starts everything, runs the chapters, and takes everything away again.
func tell(ctx context.Context, bin string) (err error) {
	started := time.Now()
	say("Starting core and the node driver, with a throw-away certificate authority.")
	s := &story{bin: bin}
	s.Stack, err = stack.Start(ctx, stack.Options{
		Bin:         bin,
		Connections: connectionsFile,
		Variables:   variablesFile,
		Rules:       rulesFile,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(interruption(ctx, err), s.leave()) }()
	for _, chapter := range []func(context.Context) error{
		s.publish, s.showFiles, s.runChild, s.showWhereItIsNot, s.rotate, s.refuse,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	say("That was all of it, in %s.", time.Since(started).Round(10*time.Millisecond))
	return nil
}

// leave takes everything away, also after Ctrl-C.
func (s *story) leave() error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("cleaning up %s: %w", s.Dir, err)
	}
	say("Cleaned up: volumes unmounted, processes ended, files deleted.")
	return nil
}

// interruption stands for whatever failed because the story was broken off.
func interruption(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

func (s *story) publish(ctx context.Context) error {
	token, err := s.Token(ctx, "--tenant=acme", "--dag=daily_report", "--task=load")
	if err != nil {
		return err
	}
	s.pod = stack.Pod{
		Name: "daily-report-load", Namespace: "airflow", ServiceAccount: "etl", UID: "3f1c9a52", Token: token,
		Attributes: map[string]string{"connections": "warehouse, gcp_default, sandbox?", "variables": "*"},
	}
	say(`A pod starts. Its volume asks for
    connections: %q
    variables:   %q
  and it comes with the token of task "load" of DAG "daily_report".`,
		s.pod.Attributes["connections"], s.pod.Attributes["variables"])
	start := time.Now()
	if err := s.Kubelet.Publish(ctx, s.pod); err != nil {
		return err
	}
	say("kubelet's call returned after %s: fetched over TLS, mounted, written in one swap.", time.Since(start).Round(10*time.Microsecond))
	return nil
}

func (s *story) showFiles(context.Context) error {
	target := s.Kubelet.Target(s.pod)
	say("The files, on a tmpfs of this pod's own (%s):", mountOptions(target))
	data := filepath.Join(target, "..data")
	return filepath.WalkDir(data+"/", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		detail("%s  %5d bytes  %s", info.Mode(), info.Size(), strings.TrimPrefix(path, data+"/"))
		return nil
	})
}

func (s *story) runChild(ctx context.Context) error {
	say("In the container, 'agent exec -- %s ...' turns them into the child's environment:", interpreter())
	seen, err := s.child(ctx)
	if err != nil {
		return err
	}
	for line := range strings.Lines(seen) {
		detail("%s", mask(strings.TrimSpace(line)))
	}
	if !strings.Contains(seen, firstPassword) {
		return fmt.Errorf("the child did not see the password")
	}
	return nil
}

func (s *story) showWhereItIsNot(context.Context) error {
	say("Where the password is not:")
	for _, search := range []struct {
		where string
		holds func(needle string) (bool, error)
	}{
		{"in any command line on this machine", commandLinesHold},
		{"in the logs of core and driver, audit records included", func(needle string) (bool, error) {
			return strings.Contains(s.Core.Output()+s.NodeOutput(), needle), nil
		}},
		{"on the disk, but for core's own file", func(needle string) (bool, error) {
			return diskHolds(s.Dir, needle, s.Connections, s.Kubelet.Target(s.pod))
		}},
	} {
		found, err := search.holds(firstPassword)
		if err != nil {
			return err
		}
		if found {
			return fmt.Errorf("the password was found %s", search.where)
		}
		detail("not %s", search.where)
	}
	return nil
}

func (s *story) rotate(ctx context.Context) error {
	say("The password is rotated in core's file, while the pod runs.")
	changed, err := s.Kubelet.WatchSwaps(s.pod)
	if err != nil {
		return err
	}
	defer changed.Close()
	start := time.Now()
	if err := s.ReplaceInConnections(firstPassword, secondPassword); err != nil {
		return err
	}
	took, err := changed.Wait(ctx, start)
	if err != nil {
		return err
	}
	seen, err := s.child(ctx)
	if err != nil {
		return err
	}
	if !strings.Contains(seen, secondPassword) {
		return fmt.Errorf("the new password did not arrive")
	}
	shown, err := mount.Current(s.Kubelet.Target(s.pod))
	if err != nil {
		return err
	}
	say("Generation %d stood in the volume %s after core's file changed; a child started now sees the new password.",
		shown.Manifest.Generation, took[0].Round(100*time.Microsecond))
	return nil
}

func (s *story) refuse(ctx context.Context) error {
	stranger := s.pod
	stranger.Name, stranger.UID = "nosy", "b07d44e1"
	stranger.Attributes = map[string]string{"connections": "warehouse, payroll"}
	say("Another pod of the same task asks for %q. No rule lets it read the second:", stranger.Attributes["connections"])
	err := s.Kubelet.Publish(ctx, stranger)
	if err == nil {
		return fmt.Errorf("it was not refused")
	}
	detail("%v", err)
	say("Nothing is mounted for it, and core has an audit record of each decision:")
	if _, err := s.Core.WaitFor(ctx, "payroll"); err != nil {
		return err
	}
	for line := range strings.Lines(s.Core.Output()) {
		if strings.Contains(line, "payroll") {
			detail("%s", strings.TrimSpace(line))
		}
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("\n▸ "+format+"\n", args...) }

func detail(format string, args ...any) { fmt.Printf("    "+format+"\n", args...) }

func mask(text string) string {
	for _, needle := range []string{firstPassword, secondPassword} {
		text = strings.ReplaceAll(text, needle, strings.Repeat("•", 8))
	}
	return text
}
