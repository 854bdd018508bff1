package main

import (
	"html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// codeRenderer writes blocks of code: the name of a file above, comments quieter, and
// prompts that are not copied along with the command.
type codeRenderer struct{}

func (c codeRenderer) RegisterFuncs(register renderer.NodeRendererFuncRegisterer) {
	register.Register(ast.KindFencedCodeBlock, c.render)
}

func (codeRenderer) render(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := node.(*ast.FencedCodeBlock)
	var lines []string
	for i := range block.Lines().Len() {
		line := block.Lines().At(i)
		lines = append(lines, string(line.Value(source)))
	}
	_, _ = out.WriteString(figure(string(block.Language(source)), lines))
	return ast.WalkContinue, nil
}

// savedFile is the first line of a block that the reader saves as a file.
var savedFile = regexp.MustCompile(`^# ([\w-]+\.[a-z]+)\n$`)

func figure(language string, lines []string) string {
	var out strings.Builder
	out.WriteString("<figure class=code>")
	if len(lines) > 0 {
		if match := savedFile.FindStringSubmatch(lines[0]); match != nil {
			out.WriteString("<figcaption>" + match[1] + "</figcaption>")
			lines = lines[1:]
		}
	}
	out.WriteString("<pre tabindex=0><code>")
	for _, line := range lines {
		out.WriteString(paint(language, line))
	}
	out.WriteString("</code></pre></figure>\n")
	return out.String()
}

// paint marks the parts of a line that are not the code itself.
func paint(language, line string) string {
	switch language {
	case "console":
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			return "<i class=prompt>$ </i><b>" + html.EscapeString(command) + "</b>"
		}
	case "sh", "bash", "yaml":
		if at := comment(line); at >= 0 {
			return html.EscapeString(line[:at]) + "<i>" + html.EscapeString(line[at:]) + "</i>"
		}
	}
	return html.EscapeString(line)
}

// comment is where a line's comment begins, or -1.
func comment(line string) int {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return strings.Index(line, "#")
	}
	return strings.Index(line, "  # ")
}
