package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// target is where a link leads: out of the repository, or to a file in it.
type target struct {
	external bool
	file     string // its path in the repository
	anchor   string
}

func (p *page) target(destination string) (target, error) {
	address, err := url.Parse(destination)
	if err != nil {
		return target{}, err
	}
	if address.IsAbs() || address.Host != "" {
		return target{external: true}, nil
	}
	if address.Path == "" {
		return target{file: p.source, anchor: address.Fragment}, nil
	}
	return target{file: path.Join(path.Dir(p.source), address.Path), anchor: address.Fragment}, nil
}

func isPage(file string) bool { return strings.HasSuffix(file, ".md") }

// follow lists the pages that a page links to.
func (p *page) follow() []string {
	var files []string
	walk(p.tree, func(node ast.Node) {
		if link, ok := node.(*ast.Link); ok {
			if to, err := p.target(string(link.Destination)); err == nil && isPage(to.file) {
				files = append(files, to.file)
			}
		}
	})
	return files
}

// relink makes every link of a page one of the site's own, and returns those it cannot.
func (s *site) relink(p *page) []error {
	var wrong []error
	walk(p.tree, func(node ast.Node) {
		var err error
		switch n := node.(type) {
		case *ast.Link:
			n.Destination, err = s.href(p, n.Destination)
		case *ast.Image:
			n.Destination, err = s.image(p, n.Destination)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", p.source, err))
		}
	})
	return wrong
}

func (s *site) href(p *page, destination []byte) ([]byte, error) {
	to, err := p.target(string(destination))
	if err != nil || to.external {
		return destination, err
	}
	if other := s.pages[to.file]; other != nil {
		if to.anchor == "" {
			return []byte(p.relative(other.out)), nil
		}
		if !other.hasAnchor(to.anchor) {
			return nil, fmt.Errorf("%s: there is no such heading", destination)
		}
		return []byte(p.relative(other.out) + "#" + to.anchor), nil
	}
	found, err := fs.Stat(s.files, to.file)
	if err != nil {
		return nil, fmt.Errorf("%s: there is no such file", destination)
	}
	kind := "blob"
	if found.IsDir() {
		kind = "tree"
	}
	return []byte(repository + "/" + kind + "/main/" + to.file), nil
}

// image remembers the picture, which is copied into the site.
func (s *site) image(p *page, destination []byte) ([]byte, error) {
	to, err := p.target(string(destination))
	if err != nil {
		return nil, err
	}
	if to.external {
		return nil, fmt.Errorf("%s: pictures come from the repository, so that no page fetches anything", destination)
	}
	if _, err := fs.Stat(s.files, to.file); err != nil {
		return nil, fmt.Errorf("%s: there is no such file", destination)
	}
	s.images[to.file] = strings.TrimPrefix(to.file, "docs/")
	return []byte(p.relative(s.images[to.file])), nil
}

// relative is the way from a page to a file of the site, without a leading slash, so that
// the site works beneath any address and from a disk.
func (p *page) relative(out string) string {
	return strings.Repeat("../", strings.Count(p.out, "/")) + out
}
