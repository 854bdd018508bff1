package main

import (
	"html"
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
	language := string(block.Language(source))
	_, _ = out.WriteString("<figure class=code>")
	if name := fileName(block, source); name != "" {
		_, _ = out.WriteString("<figcaption>" + html.EscapeString(name) + "</figcaption>")
	}
	_, _ = out.WriteString("<pre tabindex=0><code>")
	for i := range block.Lines().Len() {
		line := block.Lines().At(i)
		_, _ = out.WriteString(paint(language, string(line.Value(source))))
	}
	_, _ = out.WriteString("</code></pre></figure>\n")
	return ast.WalkContinue, nil
}

// fileName is what stands after the language, as in "yaml rules.yaml".
func fileName(block *ast.FencedCodeBlock, source []byte) string {
	if block.Info == nil {
		return ""
	}
	_, name, _ := strings.Cut(string(block.Info.Value(source)), " ")
	return name
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
