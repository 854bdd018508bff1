package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// bench prints the rows of a part as soon as that has been measured as often as asked for.
type bench struct {
	bin  string
	over int
	rows []row
}

// row is one figure of one run.
type row struct {
	what, figure, floor, ratio, budget string
	// ok is whether the budget is kept; order is what the median of several runs goes by.
	ok    bool
	order float64
}

const columns = "%-46s %14s %28s %8s %16s  %s\n"

func (*bench) header() {
	fmt.Printf(columns, "what", "figure", "floor or peer, same run", "ratio", "budget", "")
}

// none stands for a budget or a floor that there is not.
const none = "-"

// line is a row whose figure is compared with a budget of its own.
func (b *bench) line(what, figure, floor, ratio, budget string, ok bool, order float64) {
	b.rows = append(b.rows, row{what, figure, floor, ratio, budget, ok, order})
}

// times is a row whose budget is a multiple of its floor; 0 for none.
func (b *bench) times(what string, took, floor time.Duration, of string, most float64) {
	ratio, budget := float64(took)/float64(floor), none
	if most > 0 {
		budget = fmt.Sprintf("≤ %.2g×", most)
	}
	b.line(what, short(took), short(floor)+" "+of, fmt.Sprintf("%.1f×", ratio), budget, most == 0 || ratio <= most, ratio)
}

// print writes the median of each row's runs.
func (b *bench) print() {
	for len(b.rows) > 0 {
		what := b.rows[0].what
		var runs, others []row
		for _, one := range b.rows {
			if one.what == what {
				runs = append(runs, one)
			} else {
				others = append(others, one)
			}
		}
		slices.SortFunc(runs, func(x, y row) int { return cmp.Compare(x.order, y.order) })
		b.show(runs[len(runs)/2])
		b.rows = others
	}
}

func (b *bench) show(r row) {
	verdict := "ok"
	switch {
	case r.budget == none:
		verdict = ""
	case !r.ok:
		verdict = "OVER"
		b.over++
	}
	fmt.Printf(columns, r.what, r.figure, r.floor, r.ratio, r.budget, verdict)
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
