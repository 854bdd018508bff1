#!/usr/bin/env bash
# Builds all that a version is handed out as into dist/release, by goreleaser:
#
#   release/release.sh [--snapshot] [--no-sbom] [--publish]
#
# --publish signs the checksums, and makes a draft of the release on the forge. Without --snapshot the commit has a version's tag, and the checkout has no changes.
set -euo pipefail
cd "$(dirname "$0")/.."
skip=publish,sign flags=(--clean)
for flag; do
  case $flag in
  --snapshot) flags+=(--snapshot) ;;
  --no-sbom) skip+=,sbom ;;
  --publish) skip=announce ;;
  *) echo "release: no such option: $flag" >&2; exit 2 ;;
  esac
done
export GOFLAGS=-buildvcs=false
# goreleaser finds no commit in a checkout that has no remote.
[[ -n $(git remote) ]] || export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/leoflow/secrets-csi.git
tool() { go tool -modfile="tools/$1.mod" -n "$2"; } # its path, once it is built
if [[ $skip == *sbom* ]]; then unset SYFT; else export SYFT=${SYFT:-$(tool sbom syft)}; fi
"${GORELEASER:-$(tool release goreleaser)}" release "${flags[@]}" --skip="$skip"
rm -rf dist/release
mkdir dist/release
cp dist/goreleaser/*.tar.gz dist/goreleaser/SHA256SUMS dist/parts/out/* dist/release/
[[ $skip == *sbom* ]] || cp dist/goreleaser/*.cdx.json dist/release/
(cd dist/release && sha256sum --quiet --check SHA256SUMS)
printf 'dist/release: %s files, %s\n' "$(ls dist/release | wc -l)" "$(du -sh dist/release | cut -f1)"
sha256sum dist/release/SHA256SUMS
