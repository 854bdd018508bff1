#!/usr/bin/env bash
# Runs a command beside a Docker engine of its own, for a machine on which none runs:
#
#   engine.sh COMMAND [ARG ...]
#
# The engine, its containers and the command live in PID, mount and network namespaces of
# their own. When this script ends, in whatever way, the kernel ends all processes in there,
# and with the last one go mounts, interfaces and firewall rules. Images stay in the user's
# cache directory (LEOFLOW_KIND_CACHE names another). The namespace has no way out: nothing
# can be pulled or downloaded in there. Needs root and Debian's package docker.io.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cache.sh"
group=leoflow-kind-$(sha256sum <<<"$cache" | cut -c1-8) # of the containers' cgroups

remove_cgroups() {
  find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || :
}

outside() {
  mkdir -p "$cache"
  exec 9>"$cache/engine.lock"
  flock --timeout 10 9 || { echo "engine: another engine uses $cache" >&2; exit 1; }
  remove_cgroups # of a run that was killed
  # A signal to the process group reaches the command as well, whose end is waited for; when
  # this process is killed, the kernel kills all that is inside.
  trap : TERM HUP
  local code=0
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc "$0" --inside "$@" || code=$?
  remove_cgroups
  exit $code
}

inside() {
  trap 'exit 143' TERM
  trap 'exit 130' INT
  mount -t tmpfs tmpfs /run # the sockets and files of the machine's own engine stay out of reach
  ip link set lo up
  local settings=(--data-root "$cache/docker" --bridge none --cgroup-parent "/$group" --oom-score-adjust 0)
  # Docker gives a privileged container every capability, and fails where the machine itself
  # lacks CAP_SYS_RESOURCE, which is bit 24.
  if ((!(0x$(awk '$1 == "CapBnd:" {print $2}' /proc/self/status) >> 24 & 1))); then
    settings+=(--add-runtime "limited=$here/runc-limited.sh" --default-runtime limited)
  fi
  # In a session of its own: Ctrl-C is for the command, which has yet to clean up.
  setsid dockerd "${settings[@]}" >"$cache/engine.log" 2>&1 9>&- &
  engine=$!
  trap 'kill $engine; wait $engine || :' EXIT
  until docker version >/dev/null 2>&1; do
    if ((SECONDS > 60)) || ! kill -0 $engine 2>/dev/null; then tail -n 20 "$cache/engine.log" >&2; echo "engine: it did not start" >&2; exit 1; fi
    sleep 0.2
  done
  # What a run that was killed left.
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  docker network prune --force >/dev/null
  docker image prune --force >/dev/null
  "$@" 9>&-
}

case ${1:-} in
--clean) remove_cgroups && echo "$group" ;; # what a killed run left; prints the name of the containers' cgroup
--inside) inside "${@:2}" ;;
'' | -*) echo "usage: engine.sh COMMAND [ARG ...]" >&2; exit 2 ;;
*) outside "$@" ;;
esac
