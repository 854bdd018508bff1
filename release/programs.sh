#!/usr/bin/env bash
# Builds the programs, and gathers the licenses of what is compiled into each:
#
#   release/programs.sh OUT VERSION COMMIT linux/amd64 linux/arm64
#
# makes OUT/NAME-linux-ARCH, OUT/NAME-linux-ARCH.licenses, and the wheels of the Python packages. Nothing of this machine gets into a
# program: no path, no C library, no state of the checkout, no setting of Go's environment that
# changes code. .goreleaser.yaml has the same flags, and a test compares what they make.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd) version=$2 commit=$3
shift 3
cd "$(dirname "$0")/.."
stamp=github.com/leoflow/secrets-csi/internal/version
export CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFLAGS=-mod=readonly GOEXPERIMENT='' GOFIPS140=off GOWORK=off

# owners prints the packages of others in a program: whose they are, where that begins, where they are.
owners() {
  go list -deps -f '{{if eq .ImportPath "runtime"}}Go{{"\t"}}{{.Root}}{{"\t"}}{{.Root}}{{else if not (or .Standard .Module.Main)}}{{.Module.Path}} {{.Module.Version}}{{"\t"}}{{.Module.Dir}}{{"\t"}}{{.Dir}}{{end}}' "$1"
}

# licenses prints every license in the packages' directories and those above them. A text that
# several owners share is there once, below their names.
licenses() {
  local owner root directory
  while IFS=$'\t' read -r owner root directory; do
    while [[ $directory == "$root"* ]]; do
      printf '%s\t%s\t%s\n' "$owner" "$root" "$directory"
      directory=${directory%/*}
    done
  done | LC_ALL=C sort -u | while IFS=$'\t' read -r owner root directory; do
    find "$directory" -maxdepth 1 -type f -iregex '.*/\(licen[cs]e\|copying\|notice\|patents\|unlicense\)[^/]*' ! -name '*.go' |
      LC_ALL=C sort | while read -r file; do
        printf '%s\t%s %s\t%s\n' "$(sha256sum <"$file" | cut -c1-64)" "$owner" "${file#"$root/"}" "$file"
      done
  done | awk -F '\t' '
    !($1 in names) { order[++n] = $1; path[$1] = $3 }
    { names[$1] = names[$1] "== " $2 "\n" }
    END { for (i = 1; i <= n; i++) { printf "%s\n", names[order[i]]; while ((getline line < path[order[i]]) > 0) print line; print "" } }'
}

cp LICENSE "$out/"
rm -f "$out"/*.whl

# The agent's image has the Python package beside it.
GOOS='' GOARCH='' go run ./python/build --version "$version" --out "$out" >/dev/null

for platform; do
  export GOOS=${platform%/*} GOARCH=${platform#*/}
  for name in ${LEOFLOW_PROGRAMS:-driver fetcher agent core}; do
    program=$out/$name-$GOOS-$GOARCH
    go build -tags=grpcnotrace -trimpath -buildvcs=false -ldflags="-s -w -X $stamp.Version=$version -X $stamp.Commit=$commit" -o "$program" "./cmd/$name"
    packages=$(owners "./cmd/$name")
    licenses <<<"$packages" >"$program.licenses"
    while IFS=$'\t' read -r owner _; do
      grep -qF "== $owner " "$program.licenses" || { echo "$owner has no license file, so $name cannot be handed on" >&2; exit 1; }
    done <<<"$packages"
  done
done
