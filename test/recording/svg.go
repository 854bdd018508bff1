package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"time"
	"unicode/utf8"
)

// Sizes in pixels.
const (
	cell    = 7.8 // width of a character; each row is stretched to it, whatever the font
	height  = 20  // of a row
	gutter  = 70  // where the real times stand
	margin  = 16
	bar     = 38 // the window's own
	width   = margin*2 + gutter + columns*780/100
	tall    = bar + screen*height + margin
	palette = `.window{fill:#0f1716;stroke:#3a4a47}.bar{fill:#18211f}` +
		`text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:#a9bab7;white-space:pre}` +
		`.chapter{fill:#eef4f2;font-weight:600}.time{fill:#5f7b76;font-size:11px}.title{fill:#8ba19c}.mark{fill:#4fc7b4}`
)

// draw writes the film. What cannot move, or should not, sees its last screen.
func draw(title string, f film) []byte {
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		width, tall, width, tall, html.EscapeString("What "+title+" prints"))
	fmt.Fprintf(&svg, "<style>%s\n@media (prefers-reduced-motion:no-preference){\n%s}</style>\n", palette, f.motion())
	fmt.Fprintf(&svg, `<rect class="window" x=".5" y=".5" width="%d" height="%d" rx="9"/>`+"\n", width-1, tall-1)
	fmt.Fprintf(&svg, `<path class="bar" d="M1 %dV10a9 9 0 0 1 9-9H%da9 9 0 0 1 9 9V%dZ"/>`+"\n", bar-8, width-10, bar-8)
	fmt.Fprintf(&svg, `<circle class="mark" cx="18" cy="15" r="5"/><text class="title" x="34" y="19.5">$ %s</text>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&svg, `<svg y="%d" width="%d" height="%d"><g class="roll" transform="translate(0 %d)">`+"\n",
		bar, width, screen*height, -scroll(len(f.rows)))
	for i, r := range f.rows {
		svg.WriteString(r.draw(i))
	}
	svg.WriteString("</g></svg>\n</svg>\n")
	return svg.Bytes()
}

func (r row) draw(i int) string {
	if r.text == "" {
		return ""
	}
	var out strings.Builder
	baseline := i*height + 14
	fmt.Fprintf(&out, `<g class="r%d">`, i)
	class := ""
	if r.title {
		class = ` class="chapter"`
	}
	if r.title && r.first {
		fmt.Fprintf(&out, `<text class="time" x="%d" y="%d">%5.2f s</text>`, margin, baseline, r.real.Seconds())
	}
	words := strings.TrimLeft(r.text, " ")
	from := utf8.RuneCountInString(r.text) - utf8.RuneCountInString(words)
	fmt.Fprintf(&out, `<text%s x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs">%s</text></g>`+"\n", class,
		margin+gutter+float64(from)*cell, baseline, float64(utf8.RuneCountInString(words))*cell, html.EscapeString(words))
	return out.String()
}

// scroll is how far the screen has moved once so many rows are there.
func scroll(rows int) int { return max(0, rows-screen) * height }

// motion makes each row appear in its time, and the screen follow.
func (f film) motion() string {
	var rules, roll strings.Builder
	moment := func(at time.Duration) float64 { return 100 * at.Seconds() / f.lasts.Seconds() }
	for i, r := range f.rows {
		if r.text != "" && r.shown > 0 {
			fmt.Fprintf(&rules, "@keyframes r%d{0%%{opacity:0}%.3f%%{opacity:1}}.r%d{animation:r%d %.2fs step-end infinite}\n",
				i, moment(r.shown), i, i, f.lasts.Seconds())
		}
		last := i+1 == len(f.rows) || f.rows[i+1].shown > r.shown
		if last && scroll(i+1) > 0 {
			fmt.Fprintf(&roll, "%.3f%%{transform:translateY(-%dpx)}", moment(r.shown), scroll(i+1))
		}
	}
	fmt.Fprintf(&rules, "@keyframes roll{0%%{transform:none}%s}.roll{animation:roll %.2fs step-end infinite}\n", roll.String(), f.lasts.Seconds())
	return rules.String()
}
