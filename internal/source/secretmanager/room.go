package secretmanager

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Room is the memory that the answers of calls which are made at once may take together.
type Room struct{ left atomic.Int64 }

type roomKey struct{}

// Within has the answers of calls in the context be read into so many bytes. A call whose answer finds
// no more room fails by ErrTooLarge, and leaves its part of it to others.
func Within(ctx context.Context, bytes int64) context.Context {
	room := &Room{}
	room.left.Store(bytes)
	return context.WithValue(ctx, roomKey{}, room)
}

// Take counts bytes of an answer that were read otherwise than by a client of NewHTTPClient.
func Take(ctx context.Context, bytes int64) error {
	room, bounded := ctx.Value(roomKey{}).(*Room)
	if !bounded || room.left.Add(-bytes) >= 0 {
		return nil
	}
	room.left.Add(bytes)
	return &Failure{Kind: provider.ErrTooLarge, Text: "the store answers more than there is memory for at present; wait, it is asked again"}
}

// metered reads the body of an answer into the room of its call, and ends that with it.
type metered struct {
	io.ReadCloser
	ctx    context.Context
	cancel func()
	taken  int64
}

func (m *metered) Close() error {
	defer m.cancel()
	return m.ReadCloser.Close()
}

func (m *metered) Read(into []byte) (int, error) {
	count, err := m.ReadCloser.Read(into)
	if full := Take(m.ctx, int64(count)); full != nil {
		_ = Take(m.ctx, -m.taken)
		m.taken = 0
		return 0, full
	}
	m.taken += int64(count)
	return count, err
}
