package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// group is a section of the front page: a heading and the pages listed beneath it.
type group struct {
	Title string
	Items []item
}

type item struct {
	Title, About string
	page         *page
}

// menu reads the front page's sections and takes their lists out of its text: the front
// page shows them as the menu is shown everywhere.
func (s *site) menu() error {
	home := s.pages[front]
	for node := home.tree.FirstChild(); node != nil; {
		next := node.NextSibling()
		list, ok := next.(*ast.List)
		h, isHeading := node.(*ast.Heading)
		if !ok || !isHeading {
			node = next
			continue
		}
		items, err := s.items(list)
		if err != nil {
			return err
		}
		s.groups = append(s.groups, group{Title: plain(h, home.text), Items: items})
		node = list.NextSibling()
		home.tree.RemoveChild(home.tree, h)
		home.tree.RemoveChild(home.tree, list)
	}
	return nil
}

// items reads a list of "[title](page): what it is about".
func (s *site) items(list *ast.List) ([]item, error) {
	var items []item
	home := s.pages[front]
	for entry := list.FirstChild(); entry != nil; entry = entry.NextSibling() {
		link, ok := entry.FirstChild().FirstChild().(*ast.Link)
		if !ok {
			return nil, fmt.Errorf("%s: %q does not begin with a link", front, plain(entry, home.text))
		}
		to, err := home.target(string(link.Destination))
		if err != nil {
			return nil, err
		}
		p := s.pages[to.file]
		if p == nil {
			return nil, fmt.Errorf("%s: %q links to no page", front, link.Destination)
		}
		if s.listed(p) || slices.ContainsFunc(items, func(i item) bool { return i.page == p }) {
			return nil, fmt.Errorf("%s: %q is there before", front, link.Destination)
		}
		title := plain(link, home.text)
		about := plain(entry, home.text)[len(title):]
		items = append(items, item{Title: title, About: strings.Trim(about, ":. \n"), page: p})
	}
	return items, nil
}
