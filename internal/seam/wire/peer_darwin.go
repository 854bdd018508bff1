package wire

import "golang.org/x/sys/unix"

// uidOf is the user at the other end of a socket.
func uidOf(fd int) (uint32, error) {
	credentials, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return credentials.Uid, nil
}
