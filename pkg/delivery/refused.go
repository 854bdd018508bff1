package delivery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// mostTold is what a message may take of the 1024 bytes that Kubernetes leaves of an
	// event's: kubelet puts the volume's name before it.
	mostTold = 800
	// mostOfID is what an id may take where there is no room for all.
	mostOfID = 100
	// howToStart is the remedy for what is denied or missing.
	howToStart = ` (to start without an entry, write its id with a "?" after it)`
)

// checkRequired fails the volume for the required entries among refusals, all of them
// in one message.
func checkRequired(spec Volume, refusals []provider.Refusal) error {
	missed := required(spec, refusals)
	if len(missed) == 0 {
		return nil
	}
	has := func(reason provider.Reason) bool {
		return slices.ContainsFunc(missed, func(refusal provider.Refusal) bool { return refusal.Reason == reason })
	}
	remedy, reason := howToStart, Invalid
	switch {
	case has(provider.Denied):
		reason = Denied
	case has(provider.Missing):
		reason = Missing
	}
	if has(provider.Invalid) {
		remedy = ""
	}
	told, full := tellRefused(spec, missed)
	failure := failf(reason, nil, "%s%s", told, remedy)
	if told != full {
		failure.Full = full + remedy
	}
	return failure
}

// required are the refusals of what the volume cannot do without.
func required(spec Volume, refusals []provider.Refusal) []provider.Refusal {
	var missed []provider.Refusal
	for _, refusal := range refusals {
		if spec.wanted(refusal.Name.Kind).requires(refusal.Name.ID) {
			missed = append(missed, refusal)
		}
	}
	return missed
}

// tellRefused says all that there is to say of each refusal, and what of it there is
// room to tell: all, or ids alone, as many as fit, by what is the matter with them.
func tellRefused(spec Volume, refusals []provider.Refusal) (told, full string) {
	lines := make([]string, len(refusals))
	for i, refusal := range refusals {
		lines[i] = describe(spec, refusal)
	}
	full = strings.Join(lines, "; ")
	if len(full) <= mostTold {
		return full, full
	}
	groups := alike(refusals)
	left := mostTold
	texts := make([]string, len(groups))
	for i, group := range groups {
		texts[i] = describeAlike(spec, group, left/(len(groups)-i))
		left -= len(texts[i])
	}
	return strings.Join(texts, "; "), full
}

// alike are the refusals by kind and reason, in the order in which these first come.
func alike(refusals []provider.Refusal) (groups [][]provider.Refusal) {
	for _, refusal := range refusals {
		at := slices.IndexFunc(groups, func(group []provider.Refusal) bool {
			return group[0].Name.Kind == refusal.Name.Kind && group[0].Reason == refusal.Reason
		})
		if at < 0 {
			at, groups = len(groups), append(groups, nil)
		}
		groups[at] = append(groups[at], refusal)
	}
	return groups
}

// describeAlike names as many of a group as there is room for, one at least, and counts
// the rest.
func describeAlike(spec Volume, group []provider.Refusal, room int) string {
	const end = len(" and 1000 more")
	var text strings.Builder
	fmt.Fprintf(&text, "%d %ss %s: ", len(group), group[0].Name.Kind, verdictOf(spec, group[0].Reason))
	for i, refusal := range group {
		id := shortQuote(refusal.Name.ID)
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

func verdictOf(spec Volume, reason provider.Reason) string {
	switch reason {
	case provider.Missing:
		return "not in " + spec.Provider
	case provider.Denied:
		return fmt.Sprintf("denied to service account %s/%s by %s", spec.Pod.Namespace, spec.Pod.ServiceAccount, spec.Provider)
	case unavailable:
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

func describe(spec Volume, refusal provider.Refusal) string {
	subject := string(refusal.Name.Kind) + " " + strconv.Quote(refusal.Name.ID)
	detail := ""
	if refusal.Detail != "" {
		detail = ": " + refusal.Detail
	}
	switch refusal.Reason {
	case provider.Missing:
		return fmt.Sprintf("%s does not exist in %s%s", subject, spec.Provider, detail)
	case provider.Denied:
		return fmt.Sprintf("%s is denied to service account %s/%s by %s%s",
			subject, spec.Pod.Namespace, spec.Pod.ServiceAccount, spec.Provider, detail)
	case unavailable:
		return subject + " cannot be completed now" + detail
	default:
		return fmt.Sprintf("%s cannot be delivered%s", subject, detail)
	}
}
