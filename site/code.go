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
	for _, line := range painted(language, lines) {
		out.WriteString(line)
	}
	out.WriteString("</code></pre></figure>\n")
	return out.String()
}

// hereDocument is what begins text that belongs to a command, up to a line that is the word.
var hereDocument = regexp.MustCompile(`<<-?'?(\w+)'?`)

// painted marks what is not the code itself, and in a console what is typed.
func painted(language string, lines []string) []string {
	var all []string
	until := "" // the line that ends a command which goes on below
	goesOn := false
	for _, line := range lines {
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case language != "console":
			all = append(all, paint(language, line))
			continue
		case goesOn:
			all = append(all, typed(line))
		case begins:
			all = append(all, "<i class=prompt>$ </i>"+typed(command))
		default:
			all = append(all, html.EscapeString(line))
			continue
		}
		if match := hereDocument.FindStringSubmatch(line); match != nil && until == "" {
			until = match[1] + "\n"
		} else if line == until {
			until = ""
		}
		goesOn = until != "" || strings.HasSuffix(line, "\\\n")
	}
	return all
}

// typed is a line of a command, with what it is about, if it says so.
func typed(line string) string {
	code, about := line, ""
	if at := comment(line); at > 0 {
		code, about = line[:at], strings.TrimSuffix(line[at:], "\n")
	}
	code = "<b>" + html.EscapeString(strings.TrimSuffix(code, "\n")) + "</b>"
	if about != "" {
		code += "<i>" + html.EscapeString(about) + "</i>"
	}
	return code + "\n"
}

// paint makes the comments of a line quieter.
func paint(language, line string) string {
	if language == "yaml" {
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
