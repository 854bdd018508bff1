#!/usr/bin/env bash
# Writes the modfile that the node binary of one Kubernetes version is built with:
#
#   ./pin.sh v1.37.2
#
# k8s.io/kubernetes names its own libraries by paths inside its repository. Whoever requires
# it as a module has to replace each by the release of the same number. The list is read from
# the version's own go.mod. CoreDNS belongs to no Kubernetes version; etcd comes along in the
# version that Kubernetes requires.
set -euo pipefail
cd "$(dirname "$0")"

version=${1:?usage: ./pin.sh v1.MINOR.PATCH}
modfile=kubernetes-$version.mod
downloaded=$(go mod download -json "k8s.io/kubernetes@$version" | jq -r '.GoMod // error(.Error)')
{
  echo "// Written by './pin.sh $version'."
  echo 'module github.com/leoflow/secrets-csi/test/kind/node-image'
  echo 'go 1.26.0'
  echo "require github.com/coredns/coredns v1.14.2"
  echo "require k8s.io/kubernetes $version"
  go mod edit -json "$downloaded" | jq -r --arg version "v0.${version#v1.}" \
    '.Replace[] | select(.New.Path | startswith("./staging/")) | "replace \(.Old.Path) => \(.Old.Path) \($version)"'
} >"$modfile"
go mod tidy -modfile="$modfile"
