#!/usr/bin/env bash
# Builds kind's node image of a Kubernetes version where no registry can be reached, from
# Debian's packages and Go modules:
#
#   build.sh parts 1.37   downloads and compiles. Needs root for mmdebstrap, and no engine.
#   build.sh image 1.37   makes the image of the parts and prints its name. Needs Docker, and
#                         no network.
#   build.sh programs 1.37  prints the directory of kubectl and the other programs.
#
# A version is a minor one, or a whole one such as v1.37.2; ./pin.sh adds one. Parts stay in
# the user's cache directory (LEOFLOW_KIND_CACHE names another) under a hash of what they are
# made from, until that changes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
. ../cache.sh

say() { echo "node-image: $*" >&2; }

step=${1:-} asked=${2:-}
modfile=$(ls kubernetes-v"${asked#v}"{,.*}.mod 2>/dev/null | sort -V | tail -n 1 || :)
if [[ -z $modfile ]]; then
  say "no modfile for Kubernetes '$asked', only $(echo kubernetes-v*.mod); ./pin.sh VERSION writes one"
  exit 2
fi
version=${modfile#kubernetes-} version=${version%.mod}

kind=$(go mod download -modfile=../../../tools/kind.mod -json sigs.k8s.io/kind | jq -r '.Dir // error(.Error)')/images/base/files
toolchain=$(go env GOVERSION GOARCH)
digest() { (echo "$toolchain" "$@"; cat "$@") | sha256sum | cut -c1-12; }
binary=$cache/kubernetes-$version-$(digest ./*.go "$modfile" "${modfile%.mod}.sum")
base=$cache/base-$(digest build.sh customize.sh files/* pause/* containerd.mod containerd.sum)
image=localhost/leoflow/node:$version-$(digest build.sh customize.sh files/* pause/* containerd.sum "./$modfile" "./${modfile%.mod}.sum" ./*.go)

# compile_kubernetes makes one binary under the names of all programs. They are hard links,
# so that each is a file of its own to what copies them.
compile_kubernetes() {
  say "compiling Kubernetes $version, which takes minutes where Go's build cache has none of it"
  local stamp="-s -w" at where minor=${version#v1.}
  for where in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    for at in gitVersion="$version" gitMajor=1 gitMinor="${minor%%.*}" gitTreeState=clean; do stamp+=" -X $where.$at"; done
  done
  CGO_ENABLED=0 go build -trimpath -modfile="$modfile" -ldflags="$stamp" -o "$1/kubelet" .
  for name in coredns etcd kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubeadm kubectl; do
    ln "$1/kubelet" "$1/$name"
  done
}

# assemble_base makes the root file systems that have nothing of a Kubernetes version in them:
# of the node, and of the one image that all of Kubernetes' own pods run.
assemble_base() {
  say "compiling containerd"
  CGO_ENABLED=0 go build -trimpath -modfile=containerd.mod -tags no_btrfs,no_devmapper,no_zfs -ldflags='-s -w' \
    -o "$1/bin/" github.com/containerd/containerd/v2/cmd/{containerd,ctr,containerd-shim-runc-v2}
  say "unpacking Debian's packages"
  local sources=(/etc/apt/sources.list.d/debian.sources /etc/apt/sources.list) suite
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  [[ -s ${sources[0]} ]] || sources=("${sources[1]}")
  mmdebstrap --quiet --variant=minbase --include="systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,\
pigz,bash,jq,procps,ca-certificates,runc,containernetworking-plugins" \
    --customize-hook="'$here/customize.sh' \"\$1\" '$kind' '$1/bin'" "$suite" "$1/node.tar" "${sources[0]}"
  mmdebstrap --quiet --variant=extract --include=iptables,iproute2,busybox-static "$suite" "$1/pods.tar" "${sources[0]}"
  # Unpacked packages lack the links that their scripts would make.
  mkdir -p "$1"/links/{bin,usr/sbin}
  for name in cat mv sh sleep; do ln -s busybox "$1/links/bin/$name"; done
  for name in iptables ip6tables; do
    for name in "$name" "$name"-{save,restore}; do ln -s xtables-nft-multi "$1/links/usr/sbin/$name"; done
  done
  cp files/routes.sh "$1/links"
  (cd "$1/links" && find . ! -type d -print0) | tar --append --file "$1/pods.tar" -C "$1/links" --null --files-from -
  rm -r "$1/links"
  CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o "$1/pause" ./pause
  rm -r "$1/bin"
}

# archive writes the tar of a root file system with Kubernetes' programs put below a directory
# of it.
archive() {
  cp "$base/$1" "$work/$1"
  tar --append --file "$work/$1" --transform "s,^,$2," -C "$binary" "${@:3}"
  cat "$work/$1"
}

# keep makes a directory by a function, whole or not at all.
keep() {
  [[ -e $2 ]] && return
  mkdir -p "$cache"
  unfinished=$(mktemp -d "$cache/unfinished-XXXXXX")
  trap 'rm -rf "$unfinished"' EXIT
  chmod 755 "$unfinished"
  "$1" "$unfinished"
  rm -rf "${2%-*}"-* # what an earlier state of these sources made
  mv "$unfinished" "$2"
}

# build_image puts the parts together as 'kind build node-image' does: with the images of
# Kubernetes' own pods in the node's containerd. kubeadm gives every such pod a command,
# CoreDNS excepted, so that one image serves under all their names.
build_image() {
  local names
  work=$(mktemp -d "$cache/unfinished-XXXXXX")
  node=leoflow-node-image-$$
  trap 'docker rm --force --volumes $node >/dev/null 2>&1; rm -rf "$work"' EXIT
  mapfile -t names < <("$binary/kubeadm" config images list --kubernetes-version "$version" 2>/dev/null | grep -v /pause:)
  archive pods.tar usr/local/bin/ coredns etcd kube-{apiserver,controller-manager,proxy,scheduler} kubectl |
    docker import --change 'ENTRYPOINT ["/usr/local/bin/coredns"]' - localhost/leoflow/kubernetes:test >/dev/null
  tar --create -C "$base" pause | docker import --change 'ENTRYPOINT ["/pause"]' - registry.k8s.io/pause:3.10 >/dev/null
  for name in "${names[@]}"; do docker tag localhost/leoflow/kubernetes:test "$name"; done
  archive node.tar usr/bin/ kubelet kubeadm kubectl | docker import - "$image-base" >/dev/null

  docker run --detach --name $node --stop-signal SIGRTMIN+3 --env container=docker --entrypoint sleep "$image-base" infinity >/dev/null
  docker exec --detach $node containerd
  docker exec $node timeout 60 sh -c 'until ctr version >/dev/null 2>&1; do sleep 0.2; done'
  docker save "${names[@]}" localhost/leoflow/kubernetes:test registry.k8s.io/pause:3.10 |
    docker exec --interactive $node ctr --namespace=k8s.io images import --no-unpack --digests - >/dev/null
  docker exec $node timeout 60 sh -c "echo $version >/kind/version; pkill containerd; while pidof containerd; do sleep 0.1; done >/dev/null"
  docker commit --change 'ENTRYPOINT ["/kind/bin/entrypoint.sh", "/sbin/init"]' $node "$image" >/dev/null
  docker images --format '{{.Repository}}:{{.Tag}}' localhost/leoflow/node | awk -v keep="$image" -v same=":$version-" 'index($0, same) && index($0, keep) != 1' | xargs --no-run-if-empty docker rmi >/dev/null
  docker rmi "${names[@]}" localhost/leoflow/kubernetes:test registry.k8s.io/pause:3.10 >/dev/null
}

case $step in
parts)
  keep compile_kubernetes "$binary"
  keep assemble_base "$base"
  ;;
image)
  if ! docker image inspect "$image" >/dev/null 2>&1; then
    say "making $image"
    build_image
  fi
  echo "$image"
  ;;
programs) echo "$binary" ;;
*)
  say "'$step' is no step; say parts, image or programs"
  exit 2
  ;;
esac
