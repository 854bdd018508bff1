package wire

import (
	"errors"
	"fmt"
	"net"
)

// peerOf is the user whose process is at the other end.
func peerOf(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	control := raw.Control(func(fd uintptr) { uid, err = uidOf(int(fd)) })
	if err = errors.Join(control, err); err != nil {
		return 0, fmt.Errorf("telling who calls: %w", err)
	}
	return uid, nil
}
