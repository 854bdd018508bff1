package main

import (
	"io/fs"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// page is one document, parsed.
type page struct {
	source   string // its path in the repository
	out      string // its path in the site
	title    string
	headings []heading
	text     []byte
	tree     ast.Node
}

type heading struct {
	Level  int
	Anchor string
	Text   string
}

// markdown reads what GitHub reads, so that a document looks alike in both places.
func markdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		// The documents are ours, and some hold <details>.
		goldmark.WithRendererOptions(html.WithUnsafe(),
			renderer.WithNodeRenderers(util.Prioritized(codeRenderer{}, 100))),
	)
}

func parse(files fs.FS, source string) (*page, error) {
	content, err := fs.ReadFile(files, source)
	if err != nil {
		return nil, err
	}
	p := &page{source: source, out: outPath(source), text: content}
	p.tree = markdown().Parser().Parse(text.NewReader(content))
	p.nameHeadings()
	return p, nil
}

// outPath puts docs/ at the top of the site, and README files where a server looks first.
func outPath(source string) string {
	if source == "README.md" {
		return "overview.html"
	}
	out := strings.ToLower(strings.TrimPrefix(source, "docs/"))
	if path.Base(out) == "readme.md" {
		return path.Join(path.Dir(out), "index.html")
	}
	return strings.TrimSuffix(out, ".md") + ".html"
}

// nameHeadings gives each heading the anchor that it has on GitHub.
func (p *page) nameHeadings() {
	taken := anchors{}
	walk(p.tree, func(node ast.Node) {
		h, ok := node.(*ast.Heading)
		if !ok {
			return
		}
		words := plain(h, p.text)
		anchor := taken.name(words)
		h.SetAttributeString("id", anchor)
		p.headings = append(p.headings, heading{Level: h.Level, Anchor: anchor, Text: words})
		if h.Level == 1 && p.title == "" {
			p.title = words
		}
	})
}

func (p *page) hasAnchor(anchor string) bool {
	for _, h := range p.headings {
		if h.Anchor == anchor {
			return true
		}
	}
	return false
}

// walk visits a node and all below it, parents first.
func walk(node ast.Node, visit func(ast.Node)) {
	visit(node)
	for child := node.FirstChild(); child != nil; child = child.NextSibling() {
		walk(child, visit)
	}
}

// plain is the text of a node, without its markup.
func plain(node ast.Node, source []byte) string {
	var words strings.Builder
	walk(node, func(node ast.Node) {
		switch n := node.(type) {
		case *ast.Text:
			words.Write(n.Value(source))
			if n.SoftLineBreak() {
				words.WriteByte(' ')
			}
		case *ast.String:
			words.Write(n.Value)
		}
	})
	return words.String()
}
