package main

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/yuin/goldmark/ast"
)

//go:embed search.js
var searchScript []byte

// section is what is found: the text between two headings.
type section struct {
	Page   string `json:"page"`
	Title  string `json:"title"`
	Anchor string `json:"anchor"`
	Text   string `json:"text"`
}

// searchable is the script with the text of all pages before it. A page that is opened from
// a disk may not fetch, so the text comes as a script too.
func (s *site) searchable() ([]byte, error) {
	var all []section
	for _, p := range s.sorted() {
		all = append(all, p.sections()...)
	}
	index, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	return append([]byte("const sections = "+string(index)+";\n"), searchScript...), nil
}

func (p *page) sections() []section {
	found := []section{{Page: p.out, Title: p.title}}
	for node := p.tree.FirstChild(); node != nil; node = node.NextSibling() {
		if h, ok := node.(*ast.Heading); ok && h.Level > 1 {
			anchor, _ := h.AttributeString("id")
			found = append(found, section{Page: p.out, Title: p.title + " · " + plain(h, p.text), Anchor: anchor.(string)})
			continue
		}
		last := &found[len(found)-1]
		last.Text += " " + p.content(node)
	}
	for i := range found {
		found[i].Text = strings.Join(strings.Fields(found[i].Text), " ")
	}
	return found
}

// content is all that can be read in a node, code too.
func (p *page) content(node ast.Node) string {
	var words strings.Builder
	walk(node, func(node ast.Node) {
		switch n := node.(type) {
		case *ast.Text:
			words.Write(n.Value(p.text))
			words.WriteByte(' ')
		case *ast.FencedCodeBlock:
			words.Write(n.Lines().Value(p.text))
		}
	})
	return words.String()
}
