package coreserver

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// maxTickets is how many a watch may show; a node has that many pods by far.
const maxTickets = 1024

// scope is what a watcher is told of: all, or what the subjects of its tickets may read.
type scope struct {
	all      bool
	subjects []rule.Subject // in order, each once
	spelled  string         // the same for scopes of the same subjects
	added    []newcomer
	// lost: a ticket shows nothing any more.
	lost bool
}

// newcomer is a subject that no message has told of yet, and up to which state its node knows what
// it may read.
type newcomer struct {
	subject  rule.Subject
	revision string
}

// scopeOf reads the tickets of a request by the node that holder names.
func (s *Server) scopeOf(request *secretsv1.WatchRequest, holder string) (scope, error) {
	if !request.GetScoped() {
		return scope{all: true}, nil
	}
	if len(request.GetTickets())+len(request.GetAdded()) > maxTickets {
		return scope{}, status.Errorf(codes.InvalidArgument, "more than %d tickets", maxTickets)
	}
	made, now := scope{}, s.config.Now()
	for i, ticket := range slices.Concat(request.GetTickets(), request.GetAdded()) {
		subject, good := s.tickets.read(ticket, holder, now)
		if !good {
			made.lost = true
			continue
		}
		made.subjects = append(made.subjects, subject)
		if i >= len(request.GetTickets()) {
			made.added = append(made.added, newcomer{subject, ticket.GetRevision()})
		}
	}
	slices.SortFunc(made.subjects, compareSubjects)
	made.subjects = slices.Compact(made.subjects)
	made.spelled = spell(made.subjects)
	return made, nil
}

func spell(subjects []rule.Subject) string {
	var spelled []byte
	for _, subject := range subjects {
		for _, part := range []string{subject.Namespace, subject.ServiceAccount, subject.Tenant, subject.DAG} {
			spelled = append(strconv.AppendQuote(spelled, part), ' ')
		}
		spelled = append(strconv.AppendBool(spelled, subject.Direct), ' ')
	}
	return string(spelled)
}

func compareSubjects(a, b rule.Subject) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ServiceAccount, b.ServiceAccount),
		cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.DAG, b.DAG), cmp.Compare(number(a.Direct), number(b.Direct)))
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}

// names are those of an update that the scope is to be told.
func (w scope) names(update store.Update) []entry.Name {
	if w.all {
		return update.Names()
	}
	return update.NamesFor(w.subjects)
}

// list is everything there is that the scope may know, as it is now.
func (w scope) list(snapshot *store.Snapshot) (entries []*secretsv1.EntryVersion) {
	if !w.all {
		for each := range snapshot.Readership(w.subjects).Shown() {
			entries = append(entries, entryVersion(each))
		}
		return entries
	}
	entries = make([]*secretsv1.EntryVersion, 0, snapshot.Len())
	for each := range snapshot.Watched() {
		entries = append(entries, entryVersion(each))
	}
	return entries
}

// versions returns a function that gives an entry's version, by its name, as this scope sees it; empty
// where there is none.
func (w scope) versions(snapshot *store.Snapshot) func(entry.Name) string {
	if w.all {
		return snapshot.WatchedAs
	}
	return snapshot.Readership(w.subjects).ShownAs
}

// newcomers are what changed for those who were added, since the oldest of what their node knows of
// them, and all that they may read. Many of a node's service accounts may read the same, so each name
// is gone through once, and not for each of them.
func (w scope) newcomers(history *store.History, snapshot *store.Snapshot) (changed []entry.Name, shown []*secretsv1.EntryVersion) {
	if len(w.added) == 0 {
		return nil, nil
	}
	subjects := make([]rule.Subject, len(w.added))
	oldest, located := store.Position(0), map[string]store.Position{}
	for i, each := range w.added {
		position, known := located[each.revision]
		if !known {
			position = history.Locate(each.revision)
			located[each.revision] = position
		}
		if subjects[i] = each.subject; i == 0 || position < oldest {
			oldest = position
		}
	}
	slices.SortFunc(subjects, compareSubjects)
	subjects = slices.Compact(subjects)
	update := history.Since(oldest)
	changed = update.NamesFor(subjects)
	version := w.versions(snapshot)
	for known := range snapshot.Readership(subjects).Shown() {
		if update.Resync {
			changed = append(changed, known.Name)
		}
		known.Version = version(known.Name)
		shown = append(shown, entryVersion(known))
	}
	return changed, shown
}
