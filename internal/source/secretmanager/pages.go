package secretmanager

// mostPages is more than any list has that is kept.
const mostPages = 10_000

// Pages are those of one list. The zero value is of one that begins.
type Pages struct {
	seen map[string]bool
	told bool
}

// Turn takes in a page: whether it has a list at all, though an empty one, and what leads to the next, empty for the
// last. It fails where they do not come to an end, or none was of a list: that nothing is held takes all of it from pods.
func (p *Pages) Turn(doing string, isList bool, next string) error {
	p.told = p.told || isList
	if p.seen[next] || next == "" && !p.told || len(p.seen) == mostPages {
		return Unreachable(doing)
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	if next != "" {
		p.seen[next] = true
	}
	return nil
}
