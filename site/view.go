package main

import "html/template"

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

func (s *site) view(p *page, content template.HTML) view {
	v := view{
		page: p, site: s, Content: content, Front: p.source == front, Base: p.relative(""),
		Source: repository + "/blob/main/" + p.source, Groups: s.groups,
	}
	for _, h := range p.headings {
		if h.Level == 2 {
			v.Contents = append(v.Contents, h)
		}
	}
	v.Previous, v.Next = s.neighbours(p)
	return v
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
