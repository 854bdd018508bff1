#!/usr/bin/env bash
# Runs a command, the suite, on a cluster of kind's, with images loaded; deletes the
# cluster whatever comes. Needs Docker and kubectl. LEOFLOW_KUBERNETES_VERSION names a
# version, such as v1.36.1, of which kind has a node image.
#
#   kind.sh driver.tar,core.tar go test ./suite
set -euo pipefail
cd "$(dirname "$0")"

archives=$1
shift
name=leoflow
work=$(mktemp -d)
export KUBECONFIG=$work/kubeconfig
export LEOFLOW_NODE_REBOOT="docker restart $name-control-plane"
export LEOFLOW_NODE_EXEC="docker exec $name-control-plane"

kind() { go run sigs.k8s.io/kind@v0.33.0 "$@" --name "$name"; }

# Nothing that fails here may keep the rest from being done.
finish() {
  code=$?
  set +e
  if ((code)); then kind export logs ../../dist/kind; fi
  kind delete cluster
  docker rm --force "$name-busybox" >/dev/null 2>&1
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

kind create cluster --config kind.yaml --wait 3m \
  ${LEOFLOW_KUBERNETES_VERSION:+--image "kindest/node:$LEOFLOW_KUBERNETES_VERSION"}
for archive in ${archives//,/ }; do
  kind load image-archive "$archive"
done
# The image of the suite's own pods, made anew: kind cannot load one of several platforms
# where Docker keeps but one of them (kind issue 3795).
docker create --name "$name-busybox" busybox:1.37 >/dev/null
docker export "$name-busybox" | docker import --change 'ENV PATH=/bin' - localhost/leoflow/busybox:test
kind load docker-image localhost/leoflow/busybox:test
"$@"
