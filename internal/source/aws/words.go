package aws

import (
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/internal/source/store"
)

// fieldWords are Airflow's: the keys of a JSON secret by the field that they stand for.
func fieldWords() map[string][]string {
	return map[string][]string{
		"login":     {"login", "user", "username", "user_name"},
		"password":  {"password", "pass", "key"},
		"host":      {"host", "remote_host", "server"},
		"port":      {"port"},
		"schema":    {"database", "schema"},
		"conn_type": {"conn_type", "conn_id", "connection_type", "engine"},
		"extra":     {"extra"},
	}
}

// addWords takes in extra_conn_words.
func (s *Store) addWords(kwargs *store.Kwargs) {
	const option = "extra_conn_words"
	more := kwargs.Words(option)
	for _, field := range slices.Sorted(maps.Keys(more)) {
		known := field
		if known == "user" {
			known = "login"
		}
		if s.words[known] == nil {
			kwargs.Mistake(option, "has words for %q, which is no field; there are %v", field, slices.Sorted(maps.Keys(s.words)))
			continue
		}
		s.words[known] = append(s.words[known], more[field]...)
	}
}

// standardized is the secret with Airflow's names of the fields. Where several of its keys stand for one,
// the first of the secret counts.
func (s *Store) standardized(text string) ([]byte, error) {
	members, err := jsontext.ParseObject([]byte(text))
	if err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for _, field := range slices.Sorted(maps.Keys(s.words)) {
		at := slices.IndexFunc(members, func(member jsontext.Member) bool { return slices.Contains(s.words[field], member.Key) })
		if at < 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		value, _ := jsontext.Last(members, members[at].Key)
		out = append(append(jsontext.AppendText(out, field), ':'), value.Value...)
	}
	return append(out, '}'), nil
}
