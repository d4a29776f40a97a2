package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// silence is how long what was sent may stay without an answer from the other side's kernel, in milliseconds. By default
// Linux sends it again for a quarter of an hour.
const silence = 10_000

// giveUpOnSilence bounds that for a socket.
func giveUpOnSilence(_, _ string, socket syscall.RawConn) (err error) {
	controlErr := socket.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, silence)
	})
	if controlErr != nil {
		return controlErr //nolint:wrapcheck // the dialer says what it was doing
	}
	return err //nolint:wrapcheck // as above
}
