//go:build sim

package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// noticeBytes is what core writes to tell of one name: a frame of HTTP/2 and a message.
const noticeBytes = 110

// beBareServer holds connections, and writes the same to all of them at each SIGUSR1.
func beBareServer(ctx context.Context, dir string) error {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "core.crt"), filepath.Join(dir, "core.key"))
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var held sync.Mutex
	var conns []*tls.Conn
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				secured := conn.(*tls.Conn)
				if secured.HandshakeContext(ctx) == nil {
					held.Lock()
					conns = append(conns, secured)
					held.Unlock()
					_, _ = secured.Write([]byte{0}) // it is one of them
				}
			}()
		}
	}()
	fmt.Println(listener.Addr())
	for {
		select {
		case <-signals:
			held.Lock()
			writeAll(conns)
			held.Unlock()
		case <-ctx.Done():
			return listener.Close()
		}
	}
}

// writeAll writes with as many hands as there are CPUs.
func writeAll(conns []*tls.Conn) {
	hands := runtime.GOMAXPROCS(0)
	notice := make([]byte, noticeBytes)
	var all sync.WaitGroup
	for hand := range hands {
		all.Go(func() {
			for i := hand; i < len(conns); i += hands {
				_, _ = conns[i].Write(notice)
			}
		})
	}
	all.Wait()
}

// connect makes a TLS connection from an address of this machine's.
func (s *sim) connect(to string, from net.IP, protocols ...string) (*tls.Conn, error) {
	pem, err := os.ReadFile(s.PKI.CA())
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "core", MinVersion: tls.VersionTLS13, NextProtos: protocols}
	settings.RootCAs.AppendCertsFromPEM(pem)
	certificate, err := tls.LoadX509KeyPair(s.path("node.crt"), s.path("node.key"))
	if err != nil {
		return nil, err
	}
	settings.Certificates = []tls.Certificate{certificate}
	dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}, Config: settings}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

// listener is a connection to the bare server.
type listener struct{ conn *tls.Conn }

func (s *sim) listenAt(address string, from net.IP) (told, error) {
	conn, err := s.connect(address, from)
	if err != nil {
		return nil, err
	}
	_, err = conn.Read(make([]byte, 1))
	return listener{conn}, err
}

func (l listener) next() (time.Time, error) {
	_, err := l.conn.Read(make([]byte, noticeBytes))
	return time.Now(), err
}

func (l listener) close() { _ = l.conn.Close() }
