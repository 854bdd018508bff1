package main

import (
	"fmt"
	"slices"
	"time"
)

// bench prints a row as soon as it is measured.
type bench struct {
	bin  string
	over int
}

const row = "%-44s %14s %26s %8s %16s  %s\n"

func (*bench) header() {
	fmt.Printf(row, "what", "figure", "floor or peer, same run", "ratio", "budget", "")
}

// none stands for a budget or a floor that there is not.
const none = "-"

// line is one row. ratio is empty where there is nothing to compare with.
func (b *bench) line(what, figure, floor, ratio, budget string, ok bool) {
	verdict := "ok"
	switch {
	case budget == none:
		verdict = ""
	case !ok:
		verdict = "OVER"
		b.over++
	}
	fmt.Printf(row, what, figure, floor, ratio, budget, verdict)
}

// durations is a sample.
type durations []time.Duration

// at is the quantile q, from 0 to 1.
func (d durations) at(q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	default:
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	}
}

func times(a, b time.Duration) string { return fmt.Sprintf("%.1f×", float64(a)/float64(b)) }

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
