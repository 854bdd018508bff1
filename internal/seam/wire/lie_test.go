package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// liar is a fetcher that says to each call whatever it is told to.
type liar struct {
	socket string
	say    func(l *line)
}

// begin has it called for as long as the test runs.
func (f *liar) begin(t *testing.T) {
	for range 4 {
		run(t, func(ctx context.Context) error {
			for ctx.Err() == nil {
				f.serve(ctx)
			}
			return nil
		})
	}
}

func (f *liar) serve(ctx context.Context) {
	server := NewServer(ServerConfig{Socket: f.socket, Fetcher: &half{}})
	server.instance = "liar"
	l, err := server.dial(ctx)
	if err != nil {
		return
	}
	defer func() { _ = l.conn.Close() }()
	defer l.endWith(ctx)()
	for l.readHeader() == nil {
		if _, err := l.readShort(mostWork); err != nil {
			return
		}
		f.say(l)
	}
}

// frame is a whole one, whose length may be a lie.
func frame(kind byte, length int, body []byte) []byte {
	made := binary.BigEndian.AppendUint32(nil, uint32(length))
	return append(append(made, kind), body...)
}

// answered is a frame of parts and values.
func answered(values string, write func(w *writer)) []byte {
	var lines writer
	lines.uint(1)
	write(&lines)
	body := binary.BigEndian.AppendUint32(nil, uint32(len(lines.b)))
	body = append(append(body, lines.b...), values...)
	return frame(frameAnswer, len(body), body)
}

func toldFine(w *writer, volumes int) { w.told(seam.Told{Errs: make([]error, volumes), Each: 10}) }

func one(w *writer, number int, entries ...seam.Entry) {
	answer := answerOf(entries...)
	w.byte(partOne)
	w.uint(uint64(number))
	w.answer(&answer)
}

// values are those of entries, in their place of a frame.
func values(entries ...seam.Entry) (made string) {
	for _, e := range entries {
		made += string(e.Value) + string(e.JSON)
	}
	return made
}

func changed(e seam.Entry, change func(*seam.Entry)) seam.Entry {
	change(&e)
	return e
}

// keyless is an answer whose connection goes by an identity at AWS.
func keyless(change func(e *seam.Entry, one *seam.Identity)) []byte {
	e := delivered("conn_0", "v")
	e.Identity = "aws"
	one := identityAtAWS()
	change(&e, &one)
	answer := answerOf(e)
	answer.Identities = []seam.Identity{one}
	return answeredBy(answer)
}

func answeredBy(answer seam.Answer) []byte {
	return answered(values(answer.Entries...), func(w *writer) {
		toldFine(w, 1)
		w.byte(partOne)
		w.uint(0)
		w.answer(&answer)
	})
}

func identityAtAWS() seam.Identity {
	one := seam.Identity{Identity: layout.NewIdentity("aws", "sts.amazonaws.com", true), Text: "[default]\n"}
	one.Variables = []layout.IdentityVariable{{Name: layout.AWSRole, Value: "arn:aws:iam::1:role/a"}, {Name: layout.AWSTokenFile, File: one.Token}}
	one.Annotations = []string{"eks.amazonaws.com/role-arn"}
	return one
}

// Of a fetcher that lies nothing is taken, and no other call has anything of it.
func TestALieIsAnErrorOfItsCall(t *testing.T) {
	fine := delivered("conn_0", "v")
	other := delivered("passwd", "v")
	say := func(e ...seam.Entry) []byte {
		return answered(values(e...), func(w *writer) { toldFine(w, 1); one(w, 0, e...) })
	}
	variable := func(change func(v *layout.IdentityVariable)) []byte {
		return keyless(func(_ *seam.Entry, one *seam.Identity) { change(&one.Variables[0]) })
	}
	many := answerOf(fine)
	for range 4 {
		many.Identities = append(many.Identities, identityAtAWS())
	}
	twins := answerOf(fine)
	twins.Identities = many.Identities[:2]
	alive := answered("", func(w *writer) { w.byte(partAlive) })
	for name, lie := range map[string][]byte{
		"an entry that was not asked for":    say(other),
		"one that was not, and one that was": say(fine, other),
		"of another kind":                    say(changed(fine, func(e *seam.Entry) { e.Kind, e.Env = layout.Variable, "AIRFLOW_VAR_CONN_0" })),
		"a path for an id":                   say(changed(fine, func(e *seam.Entry) { e.ID = "../../etc/passwd" })),
		"twice":                              say(fine, fine),
		"another variable":                   say(changed(fine, func(e *seam.Entry) { e.Env = "LD_PRELOAD" })),
		"another entry's variable":           say(changed(fine, func(e *seam.Entry) { e.Env = "AIRFLOW_CONN_CONN_1" })),
		"a state that there is not":          say(changed(fine, func(e *seam.Entry) { e.State = "fine" })),
		"a value of what is denied":          say(changed(fine, func(e *seam.Entry) { e.State, e.Env, e.JSON = layout.Denied, "", nil })),
		"another entry behind its own":       say(changed(fine, func(e *seam.Entry) { e.JSON = []byte(`"v","passwd":"w"`) })),
		"what is no JSON":                    say(changed(fine, func(e *seam.Entry) { e.JSON = []byte{} })),
		"what is no text":                    say(changed(fine, func(e *seam.Entry) { e.JSON = []byte("\"\xff\"") })),
		"many notices":                       say(changed(fine, func(e *seam.Entry) { e.Notices = make([]layout.Notice, 100_000) })),
		"another volume":                     answered(values(fine), func(w *writer) { toldFine(w, 1); one(w, 7, fine) }),
		"a volume twice":                     answered(values(fine), func(w *writer) { toldFine(w, 1); one(w, 0, fine); w.byte(partSame); w.uint(0) }),
		"before it was told":                 answered(values(fine), func(w *writer) { one(w, 0, fine) }),
		"told twice":                         answered("", func(w *writer) { toldFine(w, 1); toldFine(w, 1) }),
		"told of more volumes":               answered("", func(w *writer) { toldFine(w, 2) }),
		"like none before":                   answered("", func(w *writer) { toldFine(w, 1); w.byte(partSame); w.uint(0) }),
		"more values than lines":             answered(values(fine)+"more", func(w *writer) { toldFine(w, 1); one(w, 0, fine) }),
		"fewer values than lines":            answered("", func(w *writer) { toldFine(w, 1); one(w, 0, fine) }),
		"an identity that there is not":      say(changed(fine, func(e *seam.Entry) { e.Identity = "aws" })),
		"another cloud's identity":           keyless(func(e *seam.Entry, _ *seam.Identity) { e.Identity = "gcp" }),
		"a variable's identity": keyless(func(e *seam.Entry, _ *seam.Identity) {
			e.Kind, e.ID, e.Env = layout.Variable, "region", "AIRFLOW_VAR_REGION"
		}),
		"an identity of what is denied": keyless(func(e *seam.Entry, _ *seam.Identity) { e.State, e.Env, e.Value, e.JSON = layout.Denied, "", nil, nil }),
		"a cloud that there is not":     keyless(func(_ *seam.Entry, one *seam.Identity) { one.Cloud = "../connections" }),
		"a library to preload":          variable(func(v *layout.IdentityVariable) { v.Name = "LD_PRELOAD" }),
		"another cloud's variable":      variable(func(v *layout.IdentityVariable) { v.Name = layout.AzureClient }),
		"a variable of two lines":       variable(func(v *layout.IdentityVariable) { v.Value += "\nAIRFLOW_CONN_CONN_0=x" }),
		"a long variable":               variable(func(v *layout.IdentityVariable) { v.Value = strings.Repeat("a", 3000) }),
		"a file that is no identity's": variable(func(v *layout.IdentityVariable) {
			v.Name, v.Value, v.File = layout.AWSTokenFile, "", "connections/conn_0"
		}),
		"no audience":                    keyless(func(_ *seam.Entry, one *seam.Identity) { one.Audience = "" }),
		"a long configuration":           keyless(func(_ *seam.Entry, one *seam.Identity) { one.Text = strings.Repeat("a", seam.MostIdentityText+1) }),
		"a configuration without a file": keyless(func(_ *seam.Entry, one *seam.Identity) { one.Config = "" }),
		"a configuration without text":   keyless(func(_ *seam.Entry, one *seam.Identity) { one.Text = "" }),
		"many variables":                 keyless(func(_ *seam.Entry, one *seam.Identity) { one.Variables = make([]layout.IdentityVariable, 20) }),
		"many annotations":               keyless(func(_ *seam.Entry, one *seam.Identity) { one.Annotations = slices.Repeat([]string{"a"}, 10) }),
		"an annotation of two lines":     keyless(func(_ *seam.Entry, one *seam.Identity) { one.Annotations = []string{"a\nb"} }),
		"many identities":                answeredBy(many),
		"two identities at a cloud":      answeredBy(twins),
		"a gibibyte":                     frame(frameAnswer, 1<<30, nil),
		"four gibibytes":                 frame(frameAnswer, 1<<32-1, nil),
		"answers without any":            slices.Concat(answered("", func(w *writer) { toldFine(w, 1) }), alive, alive),
		"another call's":                 frame(frameAnswer, 5, []byte{0, 0, 0, 1, 9}),
		"another frame":                  frame(frameChanged, 0, nil),
		"no lines":                       frame(frameAnswer, 2, []byte("ab")),
		"lines beyond the frame":         frame(frameAnswer, 4, []byte{255, 255, 255, 255}),
		"a million entries": answered("", func(w *writer) {
			toldFine(w, 1)
			w.byte(partOne)
			w.uint(0)
			w.at(time.Now())
			w.fault(nil)
			w.fault(nil)
			w.flags(false)
			w.uint(1_000_000)
			w.b = append(w.b, make([]byte, 60_000)...)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.endServer()
			(&liar{r.socket, func(l *line) { _, _ = l.conn.Write(lie) }}).begin(t)
			got := &basket{}
			err := r.Fetch(t.Context(), workOf(1), got)
			if name == "a volume twice" { // which was over with the first
				return
			}
			require.ErrorIs(t, err, call.ErrProtocol)
			require.ErrorContains(t, err, "the node's fetcher answered against the protocol")
			assert.Empty(t, got.answers)
			assert.LessOrEqual(t, got.places, 1, "the next would be waited for in vain")
		})
	}
}

// Who is asked for a part, since there is no memory for more, cannot want more: the call would be made
// again for ever.
func TestNothingOutgrowsAllThatThereIs(t *testing.T) {
	outgrown := fmt.Errorf("lie: %w", seam.ErrOutgrown)
	answer := func(w *writer, answer seam.Answer) { toldFine(w, 1); w.byte(partOne); w.uint(0); w.answer(&answer) }
	for name, lie := range map[string]func(w *writer){
		"told":     func(w *writer) { w.told(seam.Told{Errs: []error{outgrown}}) },
		"ended":    func(w *writer) { toldFine(w, 1); w.byte(partEnded); w.fault(outgrown) },
		"answered": func(w *writer) { answer(w, seam.Answer{Err: outgrown}) },
		"recalled": func(w *writer) { answer(w, seam.Answer{Offline: outgrown}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.endServer()
			(&liar{r.socket, func(l *line) { _, _ = l.conn.Write(answered("", lie)) }}).begin(t)
			work := workOf(1)
			work.Partial = true
			got := &basket{}
			err := r.Fetch(t.Context(), work, got)
			require.ErrorIs(t, err, call.ErrProtocol)
			require.NotErrorIs(t, err, seam.ErrOutgrown)
			assert.Empty(t, got.answers)
		})
	}
}

// What was said in the future would never be old.
func TestNothingWasSaidInTheFuture(t *testing.T) {
	r := newRig(t)
	future := answerOf(delivered("conn_0", "v"))
	future.Fetched = time.Now().Add(100 * time.Hour)
	r.half.fetch = answering(func(int) seam.Answer { return future })
	got := &basket{}
	require.NoError(t, r.Fetch(t.Context(), workOf(2), got))
	require.Len(t, got.answers, 2)
	for _, answer := range got.answers {
		assert.False(t, answer.Fetched.After(time.Now()))
	}
}

func TestWhatASourceCannotBeIsRefused(t *testing.T) {
	fine := seam.Source{FetchFor: time.Minute, PollEvery: time.Hour}
	for name, change := range map[string]func(s *named){
		"":                          func(*named) {},
		"no name":                   func(s *named) { s.name = "" },
		"no time to fetch":          func(s *named) { s.FetchFor = 0 },
		"too much time to fetch":    func(s *named) { s.FetchFor = mostFetchFor + 1 },
		"polled before":             func(s *named) { s.PollEvery = -1 },
		"polled in three centuries": func(s *named) { s.PollEvery = 1<<63 - 1 },
	} {
		source := named{"core", fine}
		change(&source)
		var w writer
		w.hello(hello{"dev", "a", []named{source}})
		r := reader{rest: string(w.b)}
		_, err := r.hello("dev")
		assert.Equal(t, name == "", err == nil, name)
	}
}

// What a fetcher half says, and an answer that comes once more, are no answer to the next call.
func TestHalfAStreamAndAReplayAreNoAnswer(t *testing.T) {
	r := newRig(t)
	r.endServer()
	fine := delivered("conn_0", "v")
	whole := answered(values(fine), func(w *writer) { toldFine(w, 1); one(w, 0, fine) })
	liar := &liar{r.socket, func(l *line) {
		_, _ = l.conn.Write(whole[:len(whole)/2])
		_ = l.conn.Close()
	}}
	liar.begin(t)
	got := &basket{}
	require.ErrorIs(t, r.Fetch(t.Context(), workOf(1), got), seam.ErrAway)
	assert.Empty(t, got.answers)
	liar.say = func(l *line) { _, _ = l.conn.Write(append(whole, whole...)) }
	require.NoError(t, r.Fetch(t.Context(), workOf(1), got))
	// The connection now has an answer that nobody asked for, to whichever call comes next.
	work := workOf(1)
	got = &basket{}
	require.ErrorIs(t, r.Fetch(t.Context(), work, got), call.ErrProtocol)
	assert.Empty(t, got.answers)
}

// At random.
func TestThousandsOfLiesBringNothingThatWasNotAskedFor(t *testing.T) {
	r := newRig(t)
	r.endServer()
	fine, second := delivered("conn_0", "value"), delivered("conn_1", "value")
	fine.Identity = "aws"
	answer := answerOf(fine, second)
	answer.Identities = []seam.Identity{identityAtAWS()}
	whole := answeredBy(answer)
	(&liar{r.socket, func(l *line) {
		lie := append([]byte(nil), whole...)
		for range 1 + rand.N(4) {
			switch at := rand.N(len(lie)); rand.N(3) {
			case 0:
				lie[at] ^= 1 << rand.N(8)
			case 1:
				lie[at] = byte(rand.N(256))
			default:
				lie = append(lie[:at], lie[min(len(lie), at+rand.N(8)):]...)
			}
			if len(lie) == 0 {
				break
			}
		}
		_, _ = l.conn.Write(lie)
		_ = l.conn.Close()
	}}).begin(t)
	asked := askedBy(workOf(1))
	taken, refused := 0, 0
	for range testlong.Count(1500, 15_000) {
		got := &basket{}
		if r.Fetch(t.Context(), workOf(1), got) != nil {
			refused++
		}
		for _, answer := range got.answers {
			taken++
			for _, one := range answer.Identities {
				require.NoError(t, one.Check())
			}
			for _, e := range answer.Entries {
				assert.True(t, asked.names[e.Name()], "%v", e)
				assert.Contains(t, []string{"", "connections/conn_0", "connections/conn_1", "variables/region"}, e.File)
			}
		}
	}
	assert.Positive(t, taken)
	assert.Positive(t, refused)
}

func TestOnlyTheFetchersUserIsLetIn(t *testing.T) {
	r := newRigFor(t, uint32(os.Geteuid())+1)
	conn, err := new(net.Dialer).DialContext(testwait.Context(t), "unix", r.socket)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err, "it is hung up on")
	r.log.Await(t, fmt.Sprintf("the fetcher is the user %d", r.Fetcher))
}

// Who says nothing takes memory of the driver's for ten seconds, and many would take all.
func TestFewAreHeardOutAtOnce(t *testing.T) {
	r := newRigFor(t, uint32(os.Geteuid()))
	open := make([]net.Conn, mostGreeted+1)
	for i := range open {
		conn, err := new(net.Dialer).DialContext(testwait.Context(t), "unix", r.socket)
		require.NoError(t, err)
		open[i] = conn
	}
	began := time.Now()
	_, err := open[mostGreeted].Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	assert.Less(t, time.Since(began), handshakeFor/2)
	for _, conn := range open {
		require.NoError(t, conn.Close())
	}
	r.startServer(t)
}

// Who has said half of who it is does not keep the driver from ending.
func TestHalfAHelloHoldsUpNoEnd(t *testing.T) {
	r := newRigFor(t, uint32(os.Geteuid()))
	conn, err := new(net.Dialer).DialContext(testwait.Context(t), "unix", r.socket)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write(frame(frameHello, 100, []byte(magic)))
	require.NoError(t, err)
	began := time.Now()
	r.endDriver()
	assert.Less(t, time.Since(began), handshakeFor/2)
}

func TestTwoBuildsRefuseEachOtherByName(t *testing.T) {
	r := newRig(t)
	r.endServer()
	r.server = NewServer(ServerConfig{Socket: r.socket, Fetcher: r.half, Readers: r.Readers})
	r.server.build = "v9.9.9"
	run(t, r.server.Run)
	r.log.Await(t, "the driver refused: the fetcher is of the build v9.9.9, the driver of the build dev: run both from one image")
}

// A fetcher that says nothing holds no call for longer than a call takes, and one that ends is waited
// for by a pod that starts.
func TestAPodThatStartsWaitsForTheNextFetcher(t *testing.T) {
	r := newRig(t)
	r.half.fetch = answering(func(int) seam.Answer { return answerOf() })
	require.NoError(t, r.Fetch(t.Context(), workOf(1), &basket{}))
	r.endServer()
	ended := make(chan error, 1)
	got := &basket{}
	go func() { ended <- r.Fetch(t.Context(), workOf(1), got) }()
	r.startServer(t)
	require.NoError(t, testwait.Receive(t, ended))
	assert.Len(t, got.answers, 1)
}

// What a volume takes of the memory the fetcher says first, and the rest is given back: an answer that takes more
// is not read.
func TestAnAnswerTakesNoMoreThanWasSaid(t *testing.T) {
	const most = 1 << 20
	big := delivered("conn_0", strings.Repeat("v", 2*most))
	told := answered("", func(w *writer) { toldFine(w, 1) })
	told[headerSize-1] = frameTold
	for name, lie := range map[string][]byte{
		"at once": answered(values(big), func(w *writer) { toldFine(w, 1); one(w, 0, big) }),
		"apart":   append(told, answered(values(big), func(w *writer) { one(w, 0, big) })...),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.endServer()
			(&liar{r.socket, func(l *line) { _, _ = l.conn.Write(lie) }}).begin(t)
			work, got := workOf(1), &basket{}
			work.MaxBytes, work.Room = most, most
			err := r.Fetch(testwait.Context(t), work, got)
			require.ErrorIs(t, err, call.ErrProtocol)
			require.ErrorContains(t, err, "are the most")
			assert.Empty(t, got.answers)
		})
	}
}
