package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/test/kind/state"
)

// connect gives the node, whose process 1 has the pid, its one network interface, with
// the other end on the host. The link is the node's way to be reached, and nothing more:
// the host forwards nothing through it.
func connect(ctx context.Context, dir state.Dir, pid int) error {
	host, node := dir.Addresses()
	err := ip(ctx, nil,
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", dir.Name(), pid),
		fmt.Sprintf("address add %s/30 dev %s", host, dir.Name()),
		fmt.Sprintf("link set %s up", dir.Name()))
	if err != nil {
		return err
	}
	return ip(ctx, []string{"nsenter", "--net", "--target", strconv.Itoa(pid)},
		"link set lo up",
		fmt.Sprintf("address add %s/30 dev eth0", node),
		"link set eth0 up",
		// Without a default route kubelet and kube-proxy find no address of their own.
		fmt.Sprintf("route add default via %s", host))
}

// disconnect removes the link, which goes with the node's namespace too, but only some
// time after the last process in it, and so perhaps while this looks.
func disconnect(ctx context.Context, dir state.Dir) error {
	if !isLinked(ctx, dir) {
		return nil
	}
	if err := ip(ctx, nil, "link delete "+dir.Name()); err != nil && isLinked(ctx, dir) {
		return err
	}
	return nil
}

func isLinked(ctx context.Context, dir state.Dir) bool {
	return exec.CommandContext(ctx, "ip", "link", "show", "dev", dir.Name()).Run() == nil
}

// ip carries out the commands, behind a prefix that chooses the namespace.
func ip(ctx context.Context, prefix []string, commands ...string) error {
	words := slices.Concat(prefix, []string{"ip", "-batch", "-"})
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Stdin = strings.NewReader(strings.Join(commands, "\n"))
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("configuring the network: %w: %s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}
