#!/usr/bin/env bash
# Builds the commit in two clones, and compares the checksums of what is made:
#
#   release/check.sh [--no-sbom]
#
# The second build starts with nothing compiled, in another directory and time zone.
set -euo pipefail
cd "$(dirname "$0")/.."
for flag; do
  [[ $flag == --no-sbom ]] || { echo "check: no such option: $flag" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
commit=$(git rev-parse HEAD) # which may move meanwhile
build() { # DIRECTORY [FLAG]
  git clone --quiet --no-checkout . "$1"
  git -C "$1" checkout --quiet --detach "$commit"
  "$1/release/release.sh" --snapshot "${@:2}"
}
# The tools are built once; what is compared is what they make.
tool() { go tool -modfile="tools/$1.mod" -n "$2"; }
GORELEASER=$(tool release goreleaser) SYFT=$(tool sbom syft)
export GORELEASER SYFT
build "$work/one" "$@"
mkdir -p "$work/cache"
GOCACHE=$work/cache TZ=Asia/Kolkata build "$work/two/much/deeper" "$@"
diff "$work/one/dist/release/SHA256SUMS" "$work/two/much/deeper/dist/release/SHA256SUMS"
echo "two builds of commit $commit are the same:"
cat "$work/one/dist/release/SHA256SUMS"
