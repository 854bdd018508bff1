#!/usr/bin/env bash
# Lists what is in an archive or a wheel, as syft finds it; goreleaser and release/parts.sh call it:
#
#   release/sbom.sh ARCHIVE DOCUMENT DATE VERSION
#
# What would be another at each run, number and time, is made to follow from the archive. Go does not
# say which version of the product's own module it was.
set -euo pipefail
file=$1
if [[ $1 == *.whl ]]; then # which syft opens by the name of what it is
  file=$(mktemp --suffix=.zip)
  trap 'rm "$file"' EXIT
  cp "$1" "$file"
fi
SYFT_CHECK_FOR_APP_UPDATE=false "$SYFT" scan --quiet "file:$file" --source-name "${1##*/}" --output cyclonedx-json |
  jq --arg date "$3" --arg version "$4" 'del(.serialNumber) | .metadata.timestamp = $date | del(.metadata.component."bom-ref")
    | (.components[] | select(.name == "github.com/leoflow/secrets-csi")) |= (.version = $version | .purl = "pkg:golang/\(.name)@\($version)")
    | if (.components | length) < 2 then error("nothing was found in it") else . end' >"$2"
