#!/bin/sh
# Prints the tests that internal/testlong has do more, each behind its package's directory:
# 'make test-long' runs these, since the others do there what they do in 'make test'.
cd "$(dirname "$0")/.." || exit
grep -rlF --include='*_test.go' --exclude-dir=kind 'testlong.' ./cmd ./internal ./pkg ./test | LC_ALL=C sort | xargs awk '
  /^func / { name = $2; sub(/\(.*/, "", name) }
  /testlong\.(Count|Seconds)\(/ { directory = FILENAME; sub(/\/[^\/]*$/, "", directory); print directory, name }' | uniq
