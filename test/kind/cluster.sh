#!/usr/bin/env bash
# Makes the cluster that kind.sh was asked for, runs its command, and deletes the cluster.
# kind.sh calls it, where a Docker engine answers, with PATH, WORK, KUBERNETES, WORKERS,
# NODE_IMAGE and LOAD set.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/cache.sh"

export KIND_CLUSTER_NAME=kind KUBECONFIG=$WORK/kubeconfig
# What tests find: how to run a command on a node, and how to cut a node's power and start it
# again. Both want the node's name next.
export LEOFLOW_NODE_EXEC="docker exec" LEOFLOW_NODE_REBOOT="docker restart --time 0"
if kind get clusters 2>/dev/null | grep -qx "$KIND_CLUSTER_NAME"; then
  echo "kind: there is a cluster '$KIND_CLUSTER_NAME' already; delete it first" >&2
  exit 1
fi

finish() {
  code=$?
  set +e # nothing that fails here keeps the rest from being done
  if ((code)); then
    rm -rf "$here/../../dist/kind-logs" # of an earlier failure
    kind export logs "$here/../../dist/kind-logs"
  fi
  restore_machine
  kind delete cluster
  docker rm --force leoflow-busybox >/dev/null 2>&1
  [[ -n $network ]] || docker network rm kind >/dev/null 2>&1 # kind leaves it
  kill -0 "$PPID" 2>/dev/null || rm -rf "$WORK" # kind.sh, whose it is, was killed
  exit "$code"
}
network=$(docker network ls --quiet --filter name='^kind$')
trap finish EXIT

# kubelet, and systemd in kind's own node image, change settings of the whole machine. From a
# node, which is privileged, they are set back.
machine=$(cd /proc/sys && grep -s . fs/{file-max,nr_open} kernel/{panic,panic_on_oops,pid_max} kernel/keys/root_max{bytes,keys} vm/{overcommit_memory,panic_on_oom})
restore_machine() {
  docker exec --interactive kind-control-plane sh -c 'systemctl stop kubelet; cd /proc/sys && while IFS=: read -r name value; do
    [ "$(cat "$name")" = "$value" ] || echo "$value" >"$name"
  done' <<<"$machine"
}

settings() {
  local i
  cat "$here/kind.yaml"
  for ((i = 0; i < WORKERS; i++)); do echo '- role: worker'; done
  # Without CAP_SYS_RESOURCE, bit 24, containerd cannot lower a pod's score for the OOM killer.
  if ((!(0x$(awk '$1 == "CapBnd:" {print $2}' /proc/self/status) >> 24 & 1))); then
    printf '%s\n' 'containerdConfigPatches:' '- |' '  [plugins."io.containerd.grpc.v1.cri"]' '  restrict_oom_score_adj = true'
  fi
}

# busybox makes the image of the tests' own pods: of Debian's static binary, or of the
# registry's image. It is packed anew, since kind cannot load one of several platforms of
# which Docker keeps but one (kind issue 3795).
busybox() {
  local files=$WORK/busybox name
  if [[ -x /bin/busybox ]] && ! ldd /bin/busybox >/dev/null 2>&1; then
    mkdir -p "$files"/{bin,etc,tmp}
    chmod 1777 "$files/tmp"
    cp /bin/busybox "$files/bin"
    for name in $(busybox_applets); do ln -sf busybox "$files/bin/$name"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$files/etc/passwd"
    echo 'root:x:0:' >"$files/etc/group"
    tar --create -C "$files" .
  else
    docker create --name leoflow-busybox busybox:1.37 >/dev/null
    docker export leoflow-busybox
  fi | docker import --change 'ENV PATH=/bin' --change 'CMD ["/bin/sh"]' - localhost/leoflow/busybox:test >/dev/null
}
busybox_applets() { /bin/busybox --list | grep -vx busybox; }

# record writes the row of README.md that says what was seen green.
record() {
  local node digest cgroup=v1 row
  node=$(kubectl get nodes --output jsonpath='{.items[0].status.nodeInfo.kubeletVersion} | {.items[0].status.nodeInfo.containerRuntimeVersion} | {.items[0].status.nodeInfo.kernelVersion}')
  digest=$(docker image inspect --format '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$image")
  node=${node%%-*} # the kernel's version without its builder's suffix
  [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] && cgroup=v2
  row="| $KUBERNETES | ${node/containerd:\/\//}, $cgroup | $digest | $(date -u +%F) | $1 |"
  sed -i "s#^| $KUBERNETES |.*#$row#" "$here/README.md"
}

image=${NODE_IMAGE:-$("$here/node-image/build.sh" image "$KUBERNETES")}
settings >"$WORK/kind.yaml"
# Without --retain a node that does not start would take its logs along.
kind create cluster --config "$WORK/kind.yaml" --image "$image" --wait 2m --retain
kubectl wait --for=condition=Ready nodes --all --timeout=2m
busybox
docker save --output "$WORK/busybox.tar" localhost/leoflow/busybox:test
IFS=, read -ra archives <<<"$LOAD"
for archive in "$WORK/busybox.tar" "${archives[@]}"; do
  kind load image-archive "$archive"
done
# The documents' pods take busybox from a registry, which these nodes may not reach.
if [[ -z $NODE_IMAGE ]]; then
  for node in $(kind get nodes); do
    docker exec "$node" ctr --namespace=k8s.io images tag --force localhost/leoflow/busybox:test docker.io/library/busybox:1.37 >/dev/null
  done
fi
began=$SECONDS
setpriv --pdeathsig TERM "$@"
if [[ -n ${RECORD:-} ]]; then record $(((SECONDS - began + 30) / 60)); fi
