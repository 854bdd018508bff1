#!/usr/bin/env bash
# Builds all that a version is handed out as into dist/release, by goreleaser:
#
#   release/release.sh [--snapshot] [--no-sbom]
#   release/release.sh --publish
#
# --publish signs the checksums, and makes a draft of the release on the forge. Without --snapshot the
# commit has a version's tag, CHANGELOG.md a section of that version, and the checkout has no changes.
set -euo pipefail
cd "$(dirname "$0")/.."
refuse() { echo "release: $*" >&2; exit 2; }
snapshot='' sbom=true publish=''
for flag; do
  case $flag in
  --snapshot) snapshot=true ;;
  --no-sbom) sbom='' ;;
  --publish) publish=true ;;
  *) refuse "no such option: $flag" ;;
  esac
done
[[ -z $publish || (-z $snapshot && $sbom) ]] || refuse '--publish hands out everything, of a version; leave out --snapshot and --no-sbom'
for program in git go ${sbom:+jq}; do
  command -v "$program" >/dev/null || refuse "$program is missing"
done
root=$(git rev-parse --show-toplevel) && [[ $root -ef . ]] || refuse 'this is no checkout of git, and a release is of a commit; clone the repository'

flags=(--clean)
if [[ $snapshot ]]; then
  flags+=(--snapshot)
else
  # Of several tags the version goes before its candidates. On the forge it is the tag that was pushed.
  tag=${GORELEASER_CURRENT_TAG:-$(git -c versionsort.suffix=- tag --points-at HEAD --sort=-version:refname 'v[0-9]*' | sed -n 1p)}
  [[ $tag ]] || refuse 'the commit has no tag such as v0.1.0; docs/releasing.md says how a version is made, and --snapshot builds any commit'
  number='(0|[1-9][0-9]*)'
  [[ $tag =~ ^v$number\.$number\.$number(-(alpha|beta|rc)\.$number)?$ ]] || # what Helm and PyPI both can spell
    refuse "the tag $tag is no version such as v0.1.0 or v0.1.0-rc.1"
  section=${tag#v} && [[ $tag != *-* ]] || section=Unreleased
  notes=$(awk -v section="$section" '/^## / { on = $2 == section; next } on' CHANGELOG.md)
  [[ ${notes//[[:space:]]/} ]] || refuse "CHANGELOG.md has no section '## $section' that says something; step 3 of docs/releasing.md makes it"
  export GORELEASER_CURRENT_TAG=$tag
fi
skip=publish,sign
[[ -z $publish ]] || skip=announce
[[ $sbom ]] || skip+=,sbom

export GOFLAGS=-buildvcs=false
# goreleaser finds no commit in a checkout that has no remote.
[[ -n $(git remote) ]] || export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/leoflow/secrets-csi.git
tool() { go tool -modfile="tools/$1.mod" -n "$2"; } # its path, once it is built
if [[ $sbom ]]; then export SYFT=${SYFT:-$(tool sbom syft)}; else unset SYFT; fi
goreleaser=${GORELEASER:-$(tool release goreleaser)}
if [[ -z $snapshot ]]; then
  mkdir -p dist
  printf '%s\n' "$notes" >dist/release-notes.md
  flags+=(--release-notes=dist/release-notes.md)
fi
"$goreleaser" release "${flags[@]}" --skip="$skip"
rm -rf dist/release
mkdir dist/release
cp dist/goreleaser/*.tar.gz dist/goreleaser/SHA256SUMS dist/parts/out/* dist/release/
[[ -z $sbom ]] || cp dist/goreleaser/*.cdx.json dist/release/
(cd dist/release && sha256sum --quiet --check SHA256SUMS)
printf 'dist/release: %s files, %s\n' "$(ls dist/release | wc -l)" "$(du -sh dist/release | cut -f1)"
sha256sum dist/release/SHA256SUMS
