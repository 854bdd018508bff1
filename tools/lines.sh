#!/usr/bin/env bash
# Counts the lines of Go in a commit by folder, those of _test.go beside the others:
#
#   tools/lines.sh [COMMIT]
#
# A third column has what of the tests runs by a build tag alone, so a lane of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=${1:-HEAD}
git ls-tree -r --name-only "$commit" | grep '\.go$' | while IFS= read -r file; do
  folder=${file%%/*}
  [[ $folder != test ]] || { folder=${file#test/}; folder=test/${folder%%/*}; }
  # A folder with one such file is a lane: its other files are built with that one alone.
  git show "$commit:$file" | awk -v folder="$folder" -v file="$file" '
    /^\/\/go:build (airflow|python|release|sim|soak|store)$/ { tag = 1 }
    END { print folder, (file ~ /_test\.go$/ ? "tests" : "code"), NR, tag + 0 }'
done | awk '
  { lines[$1, $2] += $3; folders[$1]; if ($4) lane[$1] }
  END {
    for (folder in folders) {
      code = lines[folder, "code"] + 0; tests = lines[folder, "tests"] + 0; by = folder in lane ? tests : 0
      printf "%s %d %d %d\n", folder, code, tests, by
      if (folder !~ /^(api|cmd|internal|pkg)$/) { allCode += code; allTests += tests; allBy += by }
    }
    printf "~outside %d %d %d\n", allCode, allTests, allBy
  }' | LC_ALL=C sort | awk '
  BEGIN { printf "%-16s %8s %8s %12s\n", "folder", "code", "tests", "by a tag" }
  { sub(/^~outside/, "outside-product"); printf "%-16s %8d %8d %12d\n", $1, $2, $3, $4 }'
