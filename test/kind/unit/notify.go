package unit

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
)

// notification is the socket on which one start of a program says READY=1.
type notification struct {
	socket *net.UnixConn
	path   string
}

func listen(dir, name string) (*notification, error) {
	path := filepath.Join(dir, name+".notify")
	if err := os.RemoveAll(path); err != nil {
		return nil, err
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notification{socket, path}, nil
}

// ready is closed once the program says so. After that, and after Close, nobody listens:
// what it says later meets a closed socket, which sd_notify ignores.
func (n *notification) ready() <-chan struct{} {
	said := make(chan struct{})
	go func() {
		defer n.Close()
		message := make([]byte, 4096)
		for {
			length, err := n.socket.Read(message)
			if err != nil {
				return
			}
			if isReady(message[:length]) {
				close(said)
				return
			}
		}
	}()
	return said
}

func (n *notification) Close() { _ = n.socket.Close() }

func isReady(message []byte) bool {
	for line := range bytes.Lines(message) {
		if string(bytes.TrimSpace(line)) == "READY=1" {
			return true
		}
	}
	return false
}
