package main

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed page.html
var pageTemplate string

//go:embed style.css
var style []byte

//go:embed page.js
var pageScript []byte

// view is what the template shows of one page.
type view struct {
	*page
	Content  template.HTML
	Front    bool
	Base     string // the way to the top of the site
	Source   string
	Groups   []group
	Contents []heading
	Previous *item
	Next     *item
	site     *site
}

func (s *site) write(out string) error {
	layout, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	for _, p := range s.sorted() {
		content, err := s.render(layout, p)
		if err != nil {
			return err
		}
		if err := writeFile(out, p.out, content); err != nil {
			return err
		}
	}
	for source, file := range s.images {
		content, err := fs.ReadFile(s.files, source)
		if err != nil {
			return err
		}
		if err := writeFile(out, file, content); err != nil {
			return err
		}
	}
	search, err := s.searchable()
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(out, "search.js", search), writeFile(out, "page.js", pageScript), writeFile(out, "style.css", style))
}

func writeFile(out, file string, content []byte) error {
	path := filepath.Join(out, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

func (s *site) render(layout *template.Template, p *page) ([]byte, error) {
	var body, whole bytes.Buffer
	if err := markdown().Renderer().Render(&body, p.text, p.tree); err != nil {
		return nil, err
	}
	v := view{
		page: p, site: s, Content: template.HTML(body.String()), Front: p.source == front,
		Base:   p.relative(""),
		Source: repository + "/blob/main/" + p.source, Groups: s.groups,
	}
	for _, h := range p.headings {
		if h.Level == 2 {
			v.Contents = append(v.Contents, h)
		}
	}
	v.Previous, v.Next = s.neighbours(p)
	err := layout.Execute(&whole, v)
	return whole.Bytes(), err
}

// neighbours are the pages before and after one in the menu.
func (s *site) neighbours(of *page) (previous, next *item) {
	var all []item
	for _, g := range s.groups {
		all = append(all, g.Items...)
	}
	for i := range all {
		if all[i].page != of {
			continue
		}
		if i > 0 {
			previous = &all[i-1]
		}
		if i+1 < len(all) {
			next = &all[i+1]
		}
	}
	return previous, next
}

// The template asks for these.

func (v view) Title() string { return v.title }

func (v view) Link(i item) string { return v.relative(i.page.out) }

func (v view) Here(i item) bool { return i.page == v.page }

// Beneath are the pages that the menu shows under an item while one of them is read.
func (v view) Beneath(i item) []item {
	var items []item
	here := v.Here(i)
	for _, p := range v.site.folder(i.page) {
		here = here || p == v.page
		items = append(items, item{Title: p.title, page: p})
	}
	if !here {
		return nil
	}
	return items
}

// trimAbout leaves of ": about." the words.
func trimAbout(about string) string { return strings.Trim(about, ":. \n") }
