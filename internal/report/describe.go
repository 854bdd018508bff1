package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

const (
	// mostInEvent is what a message may take of the 1024 bytes that Kubernetes leaves of an
	// event's: kubelet puts the volume's name before it.
	mostInEvent = 800
	// mostOfID is what an id may take where there is no room for all.
	mostOfID = 100
)

// Describe says all that there is to say of each entry, and in short what an event has room for:
// all, or ids alone, as many as fit, by what is the matter with them.
func Describe(volume Volume, refused []layout.Entry) (short, full string) {
	lines := make([]string, len(refused))
	for i, line := range refused {
		lines[i] = describe(volume, line)
	}
	full = strings.Join(lines, "; ")
	if len(full) <= mostInEvent {
		return full, full
	}
	groups := alike(refused)
	left := mostInEvent
	texts := make([]string, len(groups))
	for i, group := range groups {
		texts[i] = describeAlike(volume, group, left/(len(groups)-i))
		left -= len(texts[i])
	}
	return strings.Join(texts, "; "), full
}

// alike are the entries by kind and state, in the order in which these first come.
func alike(refused []layout.Entry) (groups [][]layout.Entry) {
	for _, line := range refused {
		at := slices.IndexFunc(groups, func(group []layout.Entry) bool {
			return group[0].Kind == line.Kind && group[0].State == line.State
		})
		if at < 0 {
			at, groups = len(groups), append(groups, nil)
		}
		groups[at] = append(groups[at], line)
	}
	return groups
}

// describeAlike names as many of a group as there is room for, one at least, and counts
// the rest.
func describeAlike(volume Volume, group []layout.Entry, room int) string {
	const end = len(" and 1000 more")
	var text strings.Builder
	fmt.Fprintf(&text, "%d %ss %s: ", len(group), group[0].Kind, verdictOf(volume, group[0].State))
	for i, line := range group {
		id := shortQuote(line.ID)
		if i > 0 && text.Len()+len(id)+end > room {
			fmt.Fprintf(&text, " and %d more", len(group)-i)
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(id)
	}
	return text.String()
}

func verdictOf(volume Volume, state layout.State) string {
	switch state {
	case layout.Missing:
		return "not in " + volume.Source
	case layout.Denied:
		return fmt.Sprintf("denied to service account %s/%s by %s", volume.Namespace, volume.ServiceAccount, volume.Source)
	case layout.Unavailable:
		return "that cannot be completed now"
	default:
		return "that cannot be delivered"
	}
}

func shortQuote(id string) string {
	if len(id) <= mostOfID {
		return strconv.Quote(id)
	}
	cut := mostOfID
	for cut > 0 && !utf8.RuneStart(id[cut]) {
		cut--
	}
	return strconv.Quote(id[:cut]) + "…"
}

func describe(volume Volume, line layout.Entry) string {
	subject, detail := line.Name().String(), ""
	if reason := line.Reason(); reason != "" {
		detail = ": " + reason
	}
	switch line.State {
	case layout.Missing:
		return fmt.Sprintf("%s does not exist in %s%s", subject, volume.Source, detail)
	case layout.Denied:
		return fmt.Sprintf("%s is denied to service account %s/%s by %s%s",
			subject, volume.Namespace, volume.ServiceAccount, volume.Source, detail)
	case layout.Unavailable:
		return subject + " cannot be completed now" + detail
	default:
		return fmt.Sprintf("%s cannot be delivered%s", subject, detail)
	}
}
