#!/bin/sh
# Prints the flag for the race detector where Go can build with it: that takes a C compiler
# and the headers of its library.
if why=$(go build -race runtime/cgo 2>&1); then
  echo -race
elif [ -n "$CI" ]; then
  printf '%s\n' "$why" 'the race detector needs a C compiler, and CI leaves nothing out' >&2
  exit 1
fi
