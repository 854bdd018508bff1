package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed page.html
var pageTemplate string

//go:embed style.css
var style []byte

//go:embed page.js
var pageScript []byte

// write replaces the directory; whatever it holds, if that is not a site, stays.
func (s *site) write(out string) error {
	if err := clear(out); err != nil {
		return err
	}
	search, err := s.searchable()
	if err != nil {
		return err
	}
	return errors.Join(s.writePages(out), s.copyImages(out), writeFile(out, searchFile, search),
		writeFile(out, "page.js", pageScript), writeFile(out, "style.css", style))
}

// searchFile is also what a site is known by.
const searchFile = "search.js"

func clear(out string) error {
	there, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(there) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(out, searchFile)); err != nil {
		return fmt.Errorf("%s holds something that is not a site: empty it, or give another --out", out)
	}
	return os.RemoveAll(out)
}

func (s *site) writePages(out string) error {
	layout, err := template.New("page").Parse(pageTemplate)
	if err != nil {
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
	return nil
}

func (s *site) copyImages(out string) error {
	for source, file := range s.images {
		content, err := fs.ReadFile(s.files, source)
		if err != nil {
			return err
		}
		if err := writeFile(out, file, content); err != nil {
			return err
		}
	}
	return nil
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
	err := layout.Execute(&whole, s.view(p, template.HTML(body.String())))
	return whole.Bytes(), err
}
