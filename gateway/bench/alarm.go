package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm rings when something is due, again and again. It is a timer of the kernel's, waited
// for as connections are: the runtime's own timers come most of a millisecond late on an
// idle machine, which is more than what a gateway adds. One goroutine waits for an alarm.
type alarm struct {
	file  *os.File
	rings int // that nobody has waited for yet
	stop  func() bool
}

// newAlarm rings at first and then every so often, until ctx is done.
func newAlarm(ctx context.Context, first time.Time, every time.Duration) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "timer")}
	set := unix.ItimerSpec{ // zero would be never
		Value:    unix.NsecToTimespec(int64(max(time.Until(first), 1))),
		Interval: unix.NsecToTimespec(int64(max(every, 1))),
	}
	if err := unix.TimerfdSettime(fd, 0, &set, nil); err != nil {
		a.file.Close()
		return nil, fmt.Errorf("set a timer: %w", err)
	}
	a.stop = context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }) // fails if it is closed
	return a, nil
}

// wait returns when the next ring is due, at once if it was already. It fails when the
// context is done.
func (a *alarm) wait() error {
	for a.rings == 0 {
		var rings [8]byte
		if _, err := a.file.Read(rings[:]); err != nil {
			return err
		}
		a.rings = int(binary.NativeEndian.Uint64(rings[:]))
	}
	a.rings--
	return nil
}

func (a *alarm) close() {
	a.stop()
	a.file.Close()
}
