package sandbox

import (
	"context"
	"errors"
	"io"
	"os"
)

// Who starts a node and the node's process 1 share two pipes. Through the lease the
// starter says "begin", when the network is there, and "stay", when the node may live on
// without it; that the lease ends first tells the node that its starter died. Through
// the report the node says "ready", or else why not.
const (
	beginning = 'b'
	staying   = 's'
	ready     = "ready"
)

// The descriptors that process 1 finds its ends at.
const leaseDescriptor, reportDescriptor = 3, 4

type pipes struct {
	lease  leaseEnd
	report *os.File
	given  [2]*os.File // the node's ends
}

// leaseEnd is the starter's, or the node's.
type leaseEnd struct{ file *os.File }

func newPipes() (*pipes, error) {
	leased, lease, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	report, reported, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, leased.Close(), lease.Close())
	}
	return &pipes{leaseEnd{lease}, report, [2]*os.File{leased, reported}}, nil
}

// closeGiven is for when the node has them.
func (p *pipes) closeGiven() {
	for _, file := range p.given {
		_ = file.Close() // a second time is an error that says nothing
	}
}

func (p *pipes) close() {
	p.closeGiven()
	_ = p.lease.file.Close()
	_ = p.report.Close()
}

// await returns when the node has reported.
func (p *pipes) await(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = p.report.Close() })
	defer stop()
	report, err := io.ReadAll(p.report)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case len(report) == 0:
		return errors.New("its process 1 ended without a word")
	case string(report) != ready:
		return errors.New(string(report))
	}
	return nil
}

func (l leaseEnd) send(word byte) error {
	_, err := l.file.Write([]byte{word})
	return err
}

// await blocks until the word comes.
func (l leaseEnd) await(word byte) error {
	var received [1]byte
	if _, err := io.ReadFull(l.file, received[:]); err != nil || received[0] != word {
		return errors.New("whoever started the node has gone")
	}
	return nil
}
