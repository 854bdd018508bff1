#!/bin/sh
# Tells which tests were not run, and why, from the file that internal/testneed writes.
sort -k 2 "$1" | awk -F '\t' '
  { all += $1; lines = lines sprintf("  %s %s: %s\n", $2, $3, $4); if (!counts[$4]) reasons[++known] = $4; counts[$4] += $1 }
  END {
    if (!all) { print "No test was skipped: this machine has what they need."; exit }
    printf "\nNot run:\n%s", lines
    for (i = 1; i <= known; i++) printf "%5d test%s: %s\n", counts[reasons[i]], counts[reasons[i]] == 1 ? "" : "s", reasons[i]
    printf "%d test%s not run.\n", all, all == 1 ? " was" : "s were"
  }'
