#!/bin/bash
# Starts the node as kind's own entrypoint does, and keeps settings of the whole machine as
# they are: systemd and kubelet write them, and they are not the node's. Each such setting
# gets a file that stands in for it.
set -euo pipefail

mkdir -p /kind/sysctl
for name in fs/file-max fs/nr_open kernel/panic kernel/panic_on_oops kernel/keys/root_maxbytes \
  kernel/keys/root_maxkeys kernel/pid_max vm/overcommit_memory vm/panic_on_oom; do
  cat "/proc/sys/$name" >"/kind/sysctl/${name//\//.}"
  mount --bind "/kind/sysctl/${name//\//.}" "/proc/sys/$name"
done
exec /usr/local/bin/entrypoint "$@"
