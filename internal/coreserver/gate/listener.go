package gate

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// unheard is how long what was sent may stay unacknowledged until the connection ends.
const unheard = 30 * time.Second

// Listener lets in what the door does, and hangs up on the rest.
type Listener struct {
	net.Listener
	Door *Door
}

// Accept returns the next connection that there is room for.
func (l Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.Door.enter(raw); conn != nil {
			limitSilence(raw)
			return conn, nil
		}
		_ = raw.Close()
	}
}

// limitSilence is what gRPC does where it sees a connection of the network itself.
func limitSilence(raw net.Conn) {
	tcp, isTCP := raw.(*net.TCPConn)
	if !isTCP {
		return
	}
	if control, err := tcp.SyscallConn(); err == nil {
		_ = control.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard.Milliseconds()))
		})
	}
}

// Info is what a call's peer is known by, beside its connection.
type Info struct {
	credentials.AuthInfo
	Conn *Conn
}

// Credentials has every call know its connection. Whoever shows a certificate that the CA
// has signed, of which what inner knows of the peer tells by Vouched, is no stranger.
func Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return handshakes{inner}
}

type handshakes struct {
	credentials.TransportCredentials
}

func (h handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	known, _ := raw.(*Conn)
	if shown, is := info.(interface{ Vouched() bool }); is && known != nil && shown.Vouched() {
		known.Known()
	}
	return conn, Info{info, known}, nil
}

func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone()}
}

// Of is the connection of a call; nil where that came over none of the door's.
func Of(ctx context.Context) *Conn {
	from, known := peer.FromContext(ctx)
	if !known {
		return nil
	}
	info, _ := from.AuthInfo.(Info)
	return info.Conn
}
