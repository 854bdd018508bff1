#!/usr/bin/env bash
# Runs a command with a kind cluster, and deletes the cluster whatever comes:
#
#   kind.sh [--kubernetes 1.37] [--workers 2] [--load driver.tar,core.tar] [--record] -- go test ./smoke ./suite
#   kind.sh [--kubernetes 1.37] --check
#
# Without workers the control plane runs pods. --record notes a command that ended well in
# README.md. --check only says what is missing here.
#
# Where a Docker engine runs, its nodes are containers of that engine, otherwise of a private
# one (engine/), which needs root. Where kind's own node image can be pulled it is taken;
# otherwise node-image/ builds one. The command finds the cluster by KUBECONFIG, kind by
# KIND_CLUSTER_NAME, and kind, kubectl and helm in PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

say() { echo "kind: $*" >&2; }
usage() { say "$1" && sed -n '4,5s/^# *//p' "$0" >&2 && exit 2; }

# What kind v0.33.0 was released with.
declare -A released=(
  [1.37]=kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5
  [1.36]=kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed
  [1.35]=kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0
)

kubernetes=1.37 workers=2 load='' record='' check=''
while [[ ${1:-} == -* ]]; do
  case $1 in
  --kubernetes | --workers | --load)
    [[ ${2:---} != --* ]] || usage "$1 wants a value"
    declare "${1#--}=$2" && shift 2
    ;;
  --record | --check) declare "${1#--}=1" && shift ;;
  --) shift && break ;;
  *) usage "no such option: $1" ;;
  esac
done
kubernetes=${kubernetes#v}
[[ -n ${released[$kubernetes]:-} ]] || { say "no Kubernetes $kubernetes here, only ${!released[*]}" && exit 2; }
[[ $workers =~ ^[0-9]$ ]] || usage "'$workers' is no number of workers"
(($# || ${#check})) || usage 'no command'
IFS=, read -ra archives <<<"$load"
for archive in "${archives[@]}"; do
  [[ -r $archive ]] || { say "no image archive $archive" && exit 2; }
done
. "$here/cache.sh"

need() { # a program, and Debian's package of it
  command -v "$1" >/dev/null || { say "$1 is missing; on Debian: apt-get install $2"; exit 2; }
}

need go golang
need docker docker.io
engine=(setpriv --pdeathsig TERM) private='' image=''
if docker info >/dev/null 2>&1; then
  if docker image inspect "${released[$kubernetes]}" >/dev/null 2>&1 || docker pull --quiet "${released[$kubernetes]}" >&2; then
    image=${released[$kubernetes]}
  fi
elif ((UID == 0)); then
  need dockerd docker.io
  need ip iproute2
  engine=(setpriv --pdeathsig KILL "$here/engine/engine.sh") private=1
else
  say "no Docker engine answers, and to start one needs root"
  exit 2
fi
if [[ -z $image ]]; then
  need mmdebstrap mmdebstrap
  need jq jq
  # That of Debian's package busybox wants libraries that the image has not.
  if [[ ! -x /bin/busybox ]] || ldd /bin/busybox >/dev/null 2>&1; then
    say '/bin/busybox is missing, or not static; on Debian: apt-get install busybox-static'
    exit 2
  fi
else
  need kubectl kubernetes-client
fi
[[ -z $check ]] || exit 0

mkdir -p "$cache"
exec 8>"$cache/kind.lock" # what this starts has it too, and so it is held until all of it ended
flock --timeout 10 8 || { say "another kind.sh is running; one at a time uses $cache"; exit 1; }
find "$cache" -maxdepth 1 -name 'unfinished-*' -mmin +180 -exec rm -rf {} + # of builds that were killed
work=$(mktemp -d)
running=''
trap '[[ -n $running ]] || rm -rf "$work"' EXIT # a cluster.sh that goes on needs it
mkdir "$work/bin"
tool() { ln -s "$(go -C "$root" tool -modfile="$root/tools/$1.mod" -n "$1")" "$work/bin/$1"; }
tool kind
tool helm
if [[ -z $image ]]; then
  "$here/node-image/build.sh" parts "$kubernetes"
  ln -s "$("$here/node-image/build.sh" programs "$kubernetes")/kubectl" "$work/bin/kubectl"
fi
# A private engine's namespace has no network: whatever the command compiles from is fetched
# now.
(
  cd "$here"
  go mod download
  cut -d' ' -f1 suite/testdata/modules.txt | xargs -n 1 go mod download -json >/dev/null
  go vet ./...
  go -C "$root" mod download
  go -C "$root/images" mod download
)

# machine is what a cluster could leave behind: mounts, interfaces, firewall rules, cgroups,
# containers and networks of a running engine, and kernel settings.
machine() {
  grep -E 'docker|kubelet|containerd|kind' /proc/self/mounts || :
  ls /sys/class/net
  iptables-save 2>/dev/null | grep '^-A' || :
  find /sys/fs/cgroup -type d -path "*/$group*"
  if [[ -z $private ]]; then docker ps --all --quiet; docker network ls --quiet; fi
  grep -rs . /proc/sys/{fs,kernel,vm} --exclude={dentry-state,file-nr,inode-nr,inode-state,ns_last_pid,nr,aio-nr,uuid,boot_id,entropy_avail,urandom_min_reseed_secs,stat_refresh} --exclude-dir=quota || : # some cannot be read
}
group=$("$here/engine/engine.sh" --clean) # first of what a run left that was killed
machine >"$work/before"

export PATH=$work/bin:$PATH WORK=$work KUBERNETES=$kubernetes WORKERS=$workers NODE_IMAGE=$image LOAD=$load RECORD=$record
code=0 running=1
"${engine[@]}" "$here/cluster.sh" "$@" || code=$?
running=''
machine >"$work/after"
if ! diff "$work/before" "$work/after" >&2; then
  say "the lines above tell what the cluster left behind, or what something else changed meanwhile"
  ((code)) || code=1
fi
exit $code
