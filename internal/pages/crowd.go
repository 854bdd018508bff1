package pages

import (
	"net"
	"sync"
)

// crowd is a listener that closes at once what comes while too many connections are open,
// in all or from the same host. A limit that let them wait would have one host's keep
// everybody else waiting.
type crowd struct {
	net.Listener
	max, maxOfOne int

	mu    sync.Mutex
	open  int
	hosts map[string]int
}

func newCrowd(listener net.Listener, most, mostOfOne int) *crowd {
	return &crowd{Listener: listener, max: most, maxOfOne: mostOfOne, hosts: map[string]int{}}
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		if c.enter(host) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.leave(host) })}, nil
		}
		_ = conn.Close()
	}
}

func (c *crowd) enter(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.max || c.hosts[host] >= c.maxOfOne {
		return false
	}
	c.open++
	c.hosts[host]++
	return true
}

func (c *crowd) leave(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.hosts[host]--; c.hosts[host] == 0 {
		delete(c.hosts, host)
	}
}

// Open counts the connections that a listener of Listen has let in and that still stand, and
// their hosts.
func Open(listener net.Listener) int {
	c, ok := listener.(*crowd)
	if !ok {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open + len(c.hosts)
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
