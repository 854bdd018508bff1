//go:build sim

package sim

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The fleet that the report reckons for.
const (
	fleetNodes = 10_000
	fleetPods  = 110
)

const (
	rowsMark  = "<!-- figures: make sim -->\n"
	fleetMark = "<!-- figures of a fleet: make sim -->\n"
	endMark   = "<!-- end of figures -->"
)

func report(all []figures, pods int) string {
	var out strings.Builder
	line := fit(all)
	out.WriteString("| nodes | core's memory | off the line | CPU for each heartbeat | CPU for each notice | a change told, median | told to the last | CPU for each fetch | fetched by the last |\n")
	out.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range all {
		fmt.Fprintf(&out, "| %d | %.1f MiB | %+.1f %% | %s | %s | %s | %s | %s | %s |\n", f.nodes, float64(f.anonymous)/(1<<20), 100*line.off(f),
			micro(f.idle), micro(f.notice), milli(f.toldMedian), milli(f.toldLast), micro(f.fetch), milli(f.fetchedLast))
	}
	last := all[len(all)-1]
	groups := fleetPods / pods
	fmt.Fprintf(&out, `
By the line that fits best, core takes %.1f MiB and for each node %.1f KiB. From it, and from the last row, for %d nodes of %d pods, in groups of %d alike:

- memory: %.0f MiB;
- being idle, with a heartbeat every 30 s: %.1f %% of a CPU;
- telling all of a change: %.1f s of CPU;
- a change that concerns one group on every node: %.0f s of CPU for the fetches;
- a change that concerns every pod (%d fetches for %d pods): %.0f s of CPU.
`, line.base/(1<<20), line.each/(1<<10), fleetNodes, fleetPods, pods,
		line.at(fleetNodes)/(1<<20),
		100*last.idle.Seconds()*fleetNodes/30,
		last.notice.Seconds()*fleetNodes,
		last.fetch.Seconds()*fleetNodes,
		groups*fleetNodes, fleetPods*fleetNodes, last.fetch.Seconds()*float64(groups*fleetNodes))
	return out.String()
}

func micro(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }

func milli(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// replaceBlock puts text between a mark of a document and the end that follows it.
func replaceBlock(path, beginMark, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(document), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return fmt.Errorf("%s lacks the marks around its figures", path)
	}
	return os.WriteFile(path, []byte(before+beginMark+"\n"+text+"\n"+endMark+after), 0o644)
}
