package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
)

// site is all pages that the front page leads to, whether at once or through others.
type site struct {
	files  fs.FS
	pages  map[string]*page  // by their paths in the repository
	images map[string]string // where each is in the repository, and in the site
	groups []group
}

func load(files fs.FS) (*site, error) {
	s := &site{files: files, pages: map[string]*page{}, images: map[string]string{}}
	if err := s.crawl(front); err != nil {
		return nil, err
	}
	if err := s.menu(); err != nil {
		return nil, err
	}
	wrong := s.unreached()
	for _, p := range s.sorted() {
		wrong = append(wrong, s.relink(p)...)
	}
	return s, errors.Join(wrong...)
}

func (s *site) crawl(source string) error {
	if s.pages[source] != nil {
		return nil
	}
	p, err := parse(s.files, source)
	if errors.Is(err, fs.ErrNotExist) && source != front {
		return nil // relink names it, and the page that links to it
	}
	if err != nil {
		return err
	}
	s.pages[source] = p
	for _, next := range p.follow() {
		if err := s.crawl(next); err != nil {
			return err
		}
	}
	return nil
}

// unreached are the documents that no other leads to, and pages that share an address.
func (s *site) unreached() []error {
	var wrong []error
	at := map[string]string{}
	for _, p := range s.sorted() {
		if other, taken := at[p.out]; taken {
			wrong = append(wrong, fmt.Errorf("%s and %s are both %s", other, p.source, p.out))
		}
		at[p.out] = p.source
	}
	err := fs.WalkDir(s.files, "docs", func(file string, _ fs.DirEntry, err error) error {
		if err == nil && isPage(file) && s.pages[file] == nil {
			wrong = append(wrong, fmt.Errorf("%s: no page links to it", file))
		}
		return err
	})
	return append(wrong, err)
}

func (s *site) sorted() []*page {
	return slices.SortedFunc(maps.Values(s.pages), func(a, b *page) int {
		return cmp.Or(cmp.Compare(a.out, b.out), cmp.Compare(a.source, b.source))
	})
}

// folder are the pages beside a README that the menu names, but does not name themselves;
// they are shown while one of them is read.
func (s *site) folder(of *page) []*page {
	if path.Base(of.source) != "README.md" || path.Dir(of.source) == "." || of.source == front {
		return nil
	}
	var beside []*page
	for _, p := range s.sorted() {
		if p != of && path.Dir(p.source) == path.Dir(of.source) && !s.listed(p) {
			beside = append(beside, p)
		}
	}
	return beside
}

func (s *site) listed(p *page) bool {
	for _, g := range s.groups {
		for _, i := range g.Items {
			if i.page == p {
				return true
			}
		}
	}
	return false
}
