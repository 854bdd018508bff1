package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Whatever core answers, each pod has each name once, or an error that says whose turn
// it is.
func FuzzReadResponse(f *testing.F) {
	seed, err := proto.Marshal(&secretsv1.FetchResponse{
		Connections: []*secretsv1.Connection{{Id: "a", Version: "1", ConnType: "http", Port: new(uint32(80))}},
		Variables:   []*secretsv1.Variable{{Key: "b", Version: "1", Value: "v"}},
		Results: []*secretsv1.CallerResult{
			{Connections: []uint32{0}, Variables: []uint32{0}},
			{Unauthenticated: "expired"},
		},
	})
	require.NoError(f, err)
	f.Add(seed, false)
	f.Add(seed, true)

	client := &Client{config: Config{Address: "core:8443"}}
	pods := []provider.Identity{{Token: secret.New("first-token")}, {Token: secret.New("second-token")}}
	f.Fuzz(func(t *testing.T, raw []byte, all bool) {
		var response secretsv1.FetchResponse
		if proto.Unmarshal(raw, &response) != nil {
			return
		}
		request := provider.Request{Connections: provider.Selection{Names: []string{"a"}}, Variables: provider.Selection{Names: []string{"b"}}}
		if all {
			request = provider.Request{Connections: provider.Selection{All: true}, Variables: provider.Selection{All: true}}
		}
		for _, outcome := range client.readResponse(&response, pods, []int{0, 1}, request) {
			if outcome.Err != nil {
				require.True(t, errors.Is(outcome.Err, provider.ErrProtocol) != errors.Is(outcome.Err, provider.ErrUnauthenticated))
				require.NotContains(t, outcome.Err.Error(), "-token")
				require.Empty(t, outcome.Entries)
				continue
			}
			times := map[entry.Name]int{}
			for _, one := range outcome.Entries {
				times[one.Name()]++
				require.Equal(t, 1, times[one.Name()], one)
			}
			if !all {
				require.Len(t, times, 2)
			}
		}
	})
}

// What a server says is repeated without the token, printable and short.
func FuzzScrub(f *testing.F) {
	const token = "aaaaaaaaaa.bbbbbbbbbb.cccccccccc"
	f.Add("bad token " + token)
	f.Add(strings.Repeat("é", 200) + token[:21])
	f.Add(token + token + "\x00\xff\n")
	scrub := newScrubber(secret.New(token), secret.New("x"))
	f.Fuzz(func(t *testing.T, said string) {
		text := scrub.text(said)
		for _, part := range append(strings.Split(token, "."), token) {
			require.NotContains(t, text, part)
		}
		require.LessOrEqual(t, len(text), 4*longestMessage)
		require.Regexp(t, `^[\pL\pM\pN\pP\pS ]*$`, text)
	})
}

// Whatever a stream says, a view follows it or starts over.
func FuzzView(f *testing.F) {
	seed, err := proto.Marshal(&secretsv1.WatchResponse{Revision: "1", Resync: true, Entries: []*secretsv1.EntryVersion{
		{Kind: secretsv1.Kind_KIND_VARIABLE, Name: "a", Version: "1"},
	}})
	require.NoError(f, err)
	f.Add(seed, seed)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		told := 0
		watched := view{notify: func(change provider.Change) {
			told++
			require.True(t, change.All != (len(change.Entries) > 0))
		}}
		for _, raw := range [][]byte{first, second} {
			var message secretsv1.WatchResponse
			if proto.Unmarshal(raw, &message) != nil {
				return
			}
			before := watched.revision
			_, err := watched.take(&message)
			require.Equal(t, err != nil, watched.revision == "")
			if before != watched.revision && before != "" && err == nil {
				require.Positive(t, told, "a new state without a word")
			}
		}
	})
}
