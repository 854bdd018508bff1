package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a frame is. A frame is its length (4 bytes, big-endian), one of these, and so many bytes.
const (
	frameHello   byte = 'h' // of the fetcher, which dials: its build, its sources
	frameWelcome byte = 'w' // the driver's answer to it
	frameRefusal byte = 'x' // the same, with the reason
	frameFetch   byte = 'f'
	frameTold    byte = 't' // parts of an answer, without values
	frameAnswer  byte = 'a' // the same, with those of one volume
	frameWatch   byte = 'o'
	frameChanged byte = 'c'
	frameEnded   byte = 'e' // a watch that ended, and why
	frameReport  byte = 'r'
	frameCounted byte = 'n' // the fetcher has taken in the report that was sent first
	frameAsk     byte = 'q' // the fetcher wants to know how the node is
	frameState   byte = 's' // how it is
)

const (
	headerSize = 5
	// mostHandshake bounds what a stranger may send, and handshakeFor how long it may take.
	mostHandshake = 64 << 10
	handshakeFor  = 10 * time.Second
)

// line is one connection. One goroutine reads and one writes at a time.
type line struct {
	conn   *net.UnixConn
	header [headerSize]byte
	// have is how much of the next header was read.
	have int
	// out is what is written next, behind the room for its header; nil between frames.
	out *writer
	// serial counts the calls on it: an answer has that of its own.
	serial uint64
	// instance tells the program at the other end from the one before it.
	instance string
}

// start begins a frame. What it returns is the line's until send.
func (l *line) start(kind byte) *writer {
	if l.out == nil {
		l.out = writers.Get().(*writer)
	}
	l.out.b = append(l.out.b[:0], 0, 0, 0, 0, kind)
	return l.out
}

// send writes the frame that was begun, in one call, and leaves nothing of it.
func (l *line) send() error {
	binary.BigEndian.PutUint32(l.out.b, uint32(len(l.out.b)-headerSize))
	_, err := l.conn.Write(l.out.b)
	l.out.b = wipe(l.out.b)
	writers.Put(l.out)
	l.out = nil
	return err
}

// readHeader waits for a frame.
func (l *line) readHeader() error {
	_, err := io.ReadFull(l.conn, l.header[l.have:])
	l.have = 0
	return err
}

// look reads on while a call is answered, and tells where the other end hangs up; all else that may
// come is the header of the next call. It returns what is to be called before that is read.
func (l *line) look(hungUp func()) (wait func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		count, err := l.conn.Read(l.header[:])
		l.have = count
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			hungUp()
		}
	}()
	return func() {
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
		<-ended
		_ = l.conn.SetReadDeadline(time.Time{})
	}
}

func (l *line) kind() byte { return l.header[4] }

func (l *line) size() int64 { return int64(binary.BigEndian.Uint32(l.header[:])) }

// fits fails for a frame of more bytes than the most.
func (l *line) fits(most int64) error {
	if l.size() > most {
		return fmt.Errorf("%w: a frame of %d bytes, where %d are the most", errLied, l.size(), most)
	}
	return nil
}

// read reads the frame of the header, of so many bytes at most, into memory that is the caller's.
func (l *line) read(most int64) ([]byte, error) {
	if err := l.fits(most); err != nil {
		return nil, err
	}
	body := make([]byte, l.size())
	_, err := io.ReadFull(l.conn, body)
	return body, err
}

// readShort is read as text: of a line that waits for the next frame, nothing stays.
func (l *line) readShort(most int64) (string, error) {
	if err := l.fits(most); err != nil {
		return "", err
	}
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	var text strings.Builder
	text.Grow(int(l.size()))
	for left := int(l.size()); left > 0; {
		count, err := l.conn.Read(chunk[:min(left, chunkSize)])
		text.Write(chunk[:count])
		clear(chunk[:count])
		if left -= count; err != nil && left > 0 {
			return "", err
		}
	}
	return text.String(), nil
}

// errLied is of what the other end must not send.
var errLied = errors.New("against the protocol")

// endWith closes the line as soon as ctx ends, unless stop is called before.
func (l *line) endWith(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = l.conn.Close() })
}

// stands fails if the other end has hung up, and has said all that it did.
func (l *line) stands() error {
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return err
	}
	var next [1]byte
	count, failed := 0, error(nil)
	control := raw.Control(func(fd uintptr) {
		for failed = unix.EINTR; errors.Is(failed, unix.EINTR); {
			count, _, failed = unix.Recvfrom(int(fd), next[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
	})
	switch {
	case control != nil:
		return control
	case failed == nil && count == 0:
		return fmt.Errorf("it has hung up: %w", io.EOF)
	case failed != nil && !errors.Is(failed, unix.EAGAIN): // such as of one that has not read that it is welcome
		return fmt.Errorf("it has hung up: %w", failed)
	}
	return nil
}

// isHangUp tells the end of a connection from what was said on it.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
