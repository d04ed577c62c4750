package bench

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestAnAlarmRingsWhenItIsDue(t *testing.T) {
	const every = 2 * time.Millisecond
	first := time.Now().Add(every)
	a, err := newAlarm(t.Context(), first, every)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for i := range 5 {
		if err := a.wait(); err != nil {
			t.Fatal(err)
		}
		if due := first.Add(time.Duration(i) * every); time.Now().Before(due) {
			t.Errorf("ring %d came %v before it was due", i, time.Until(due))
		}
	}
}

func TestAnAlarmLosesNoRing(t *testing.T) {
	a, err := newAlarm(t.Context(), time.Now().Add(-time.Second), time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if err := a.wait(); err != nil || a.rings == 0 {
		t.Fatalf("%v, %d rings left of very many", err, a.rings)
	}
	before := a.rings
	if err := a.wait(); err != nil || a.rings != before-1 {
		t.Errorf("%v, %d rings left of %d", err, a.rings, before)
	}
}

func TestAnAlarmEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a, err := newAlarm(ctx, time.Now().Add(time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	cancel()
	if err := a.wait(); err == nil {
		t.Error("it rang an hour early")
	}
}

func TestAProcessHasHadTimeOfProcessors(t *testing.T) {
	took, err := CPU(os.Getpid())
	if err != nil || took <= 0 {
		t.Errorf("%v, %v", took, err)
	}
	if _, err := CPU(1 << 23); err == nil {
		t.Error("a process that there is not has CPU time")
	}
}
