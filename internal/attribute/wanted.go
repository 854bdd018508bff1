package attribute

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/excerpt"
)

// MaxIDs bounds the entries of one kind in one volume. It is far above what a task
// needs and keeps a volume's files, pages and requests within reason.
const MaxIDs = 1000

// MaxBytes bounds the text of one attribute, so that what both ask for, with the
// pod's token, is one message to core: 1000 ids of 250 letters fit.
const MaxBytes = 256 << 10

// wantAll is the item that asks for everything.
const wantAll = "*"

// parseWanted reads a list of ids:
//
//	list = "" | "*" | item *( "," item )
//	item = id [ "@" source ] [ "?" ]
//
// with white space around items allowed. The last "@" begins the source, since Airflow lets
// a variable's key have one. Nothing asks for nothing of this kind, as
// templates write it that have no ids. envName knows which ids can be delivered, and
// which two become the same environment variable.
func parseWanted(text string, sources []string, envName func(id string) (string, error)) (deliver.Wanted, error) {
	switch strings.TrimSpace(text) {
	case "":
		return deliver.Wanted{}, nil
	case wantAll:
		return deliver.Wanted{All: true}, nil
	}
	if len(text) > MaxBytes {
		return deliver.Wanted{}, fmt.Errorf("has %d bytes; %d is the most: ask for fewer entries, or give them shorter ids", len(text), MaxBytes)
	}
	items := strings.Split(text, ",")
	if len(items) > MaxIDs {
		return deliver.Wanted{}, fmt.Errorf("lists %d ids; %d is the most", len(items), MaxIDs)
	}
	if i := slices.IndexFunc(items, func(item string) bool { return looksLikeConnection(item, sources) }); i >= 0 {
		// A pasted connection has put its password into the pod spec. Quoting the item would put it
		// into events and logs too, and a comma in the connection splits it into several items.
		return deliver.Wanted{}, fmt.Errorf("item %d: it looks like a connection; write its id, and change the password if there was one", i+1)
	}
	wanted := deliver.Wanted{Names: make([]deliver.WantedName, 0, len(items))} // which stay as long as the volume
	var mistakes []error
	seen := ids{}
	for i, item := range items {
		name, env, err := parseItem(item, sources, envName)
		if err == nil {
			err = seen.add(name, env)
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("item %d: %w", i+1, err))
			continue
		}
		wanted.Names = append(wanted.Names, name)
	}
	if len(mistakes) > 0 {
		return deliver.Wanted{}, errors.New(joined(mistakes))
	}
	return wanted, nil
}

// looksLikeConnection knows a URI, also without its scheme, what Airflow writes a connection as
// otherwise, JSON, and a DSN. An id may have a ":", and then names a source that there is.
func looksLikeConnection(item string, sources []string) bool {
	if id, source, found := cutSource(item); found && strings.Contains(id, ":") && !slices.Contains(sources, source) {
		return true
	}
	return strings.Contains(item, "://") || strings.Contains(item, "{") && strings.Contains(item, `"`) ||
		strings.Contains(strings.ToLower(item), "password=")
}

// cutSource parts an item, without the "?" at its end, at the last "@".
func cutSource(item string) (id, source string, found bool) {
	item = strings.TrimSuffix(strings.TrimSpace(item), "?")
	at := strings.LastIndexByte(item, '@')
	if at < 0 {
		return item, "", false
	}
	return item[:at], item[at+1:], true
}

func parseItem(item string, sources []string, envName func(id string) (string, error)) (name deliver.WantedName, env string, err error) {
	name.Optional = strings.HasSuffix(strings.TrimSpace(item), "?")
	var hasSource bool
	if name.ID, name.Source, hasSource = cutSource(item); hasSource {
		written := name.ID + "@" + name.Source
		if id, misplaced := strings.CutSuffix(name.ID, "?"); misplaced {
			return name, "", fmt.Errorf(`%s has the "?" before the source; write %s`, excerpt.Quote(written), excerpt.Quote(id+"@"+name.Source+"?"))
		}
		if name.ID == wantAll {
			return name, "", fmt.Errorf(`"*" asks for everything that the volume's source has, and names no other; write "*" with the attribute %q`, Source)
		}
		if !slices.Contains(sources, name.Source) {
			return name, "", fmt.Errorf("%s: the source %s cannot be had here; there is %s", excerpt.Quote(written), excerpt.Quote(name.Source), strings.Join(sources, ", "))
		}
	}
	switch {
	case name.ID == "":
		return name, "", errors.New(`it is empty; write ids with one comma between them`)
	case name.ID == wantAll:
		return name, "", errors.New(`"*" asks for everything and stands alone, without ids and without "?"`)
	case strings.TrimSpace(name.ID) != name.ID: // it would be another id
		return name, "", fmt.Errorf(`%s has white space after the id; take it out`, excerpt.Quote(strings.TrimSpace(item)))
	case strings.ContainsRune(name.ID, '?'):
		return name, "", fmt.Errorf(`%s has a "?" inside; one "?" at the end makes an id optional`, excerpt.Quote(name.ID))
	case strings.ContainsRune(name.ID, '*'):
		return name, "", fmt.Errorf(`%s is a pattern, which only core's rules take; list the ids, or write "*" alone for all`, excerpt.Quote(name.ID))
	}
	env, err = envName(name.ID)
	switch {
	case err != nil && strings.ContainsAny(name.ID, " \t\r\n;"):
		return name, "", fmt.Errorf("%w; write a comma between two ids", err)
	case err != nil:
		return name, "", err
	}
	return name, env, nil
}

// ids are the ids seen so far, by the environment variable each becomes.
type ids map[string]deliver.WantedName

func (seen ids) add(name deliver.WantedName, env string) error {
	earlier, clash := seen[env]
	switch {
	case clash && earlier.ID == name.ID && earlier.Source == name.Source:
		return fmt.Errorf("%s is listed before", excerpt.Quote(asWritten(name)))
	case clash && earlier.ID == name.ID:
		return fmt.Errorf("%s and %s are the same id; a pod has it from one source", excerpt.Quote(asWritten(earlier)), excerpt.Quote(asWritten(name)))
	case clash:
		return fmt.Errorf("%s and %s both become %s; a pod can have one of them", excerpt.Quote(asWritten(earlier)), excerpt.Quote(asWritten(name)), env)
	}
	seen[env] = name
	return nil
}

// asWritten is the id with the source that it names.
func asWritten(name deliver.WantedName) string {
	if name.Source == "" {
		return name.ID
	}
	return name.ID + "@" + name.Source
}
