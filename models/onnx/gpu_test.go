package onnx

import (
	"bytes"
	"testing"
)

// TestAPretendedDeviceGivesTheSameRows runs every model with its caches and scores in
// memory that nobody may touch outside of runs and copies, as a GPU's is.
func TestAPretendedDeviceGivesTheSameRows(t *testing.T) {
	for name, src := range exportable(t) {
		t.Run(name, func(t *testing.T) {
			plain := openSource(t, src, Options{Provider: CPU, Context: 128, Chunk: 5})
			device := openSource(t, src, Options{Provider: CPU, Context: 128, Chunk: 5, pretend: true})
			if plain.onDevice() || !device.onDevice() || plain.manner != device.manner {
				t.Fatal("no device, or one too many, or caches are laid out in another way")
			}
			text := walk(min(30, plain.Context()), plain.Vocabulary())
			for _, sizes := range [][]int{{100}, {2}, {7, 3}} {
				one, other := openSequence(t, plain), openSequence(t, device)
				want, got := read(t, one, text, sizes...), read(t, other, text, sizes...)
				for i := range want {
					if !same(got[i], want[i]) {
						t.Fatalf("in groups of %v: row %d is another", sizes, i)
					}
				}
				if !bytes.Equal(export(t, one, 0, len(text)), export(t, other, 0, len(text))) {
					t.Errorf("in groups of %v: keys or values are others", sizes)
				}
			}
		})
	}
}

// What crosses between host and device in a step is the token and the row, and of keys
// and values nothing; Export and Import alone carry those.
func TestKeysAndValuesStayOnTheDevice(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64 // of one score
	}{{"gqa", 4}, {"plain", 4}, {"plain-fp16", 2}, {"keep", 4}} {
		s := openModel(t, c.name, Options{Provider: CPU, pretend: true})
		s.pool.smallest = 4
		q := openSequence(t, s)
		before := testEnv.Traffic()
		text := walk(40, 64)
		if _, err := q.Extend(t.Context(), text, 1); err != nil {
			t.Fatal(err)
		}
		read(t, q, walk(5, 64), 1)
		cut(t, q, 20)
		read(t, q, walk(6, 64), 3, 2, 1)
		after := testEnv.Traffic()
		if n := after.Cache - before.Cache; n != 0 {
			t.Errorf("%s: %d bytes of keys and values crossed", c.name, n)
		}
		if n, want := after.ToHost-before.ToHost, (1+5+6)*64*c.size; n != want {
			t.Errorf("%s: %d bytes came to the host, want %d of 12 rows", c.name, n, want)
		}
		// Of 51 tokens: ids and positions of 8 bytes, and masks of 8 bytes a token of the past.
		if n := after.ToDevice - before.ToDevice; n < 51*8 || n > 51*16+9*60*8 {
			t.Errorf("%s: %d bytes went to the device", c.name, n)
		}
		block := export(t, q, 0, 8)
		importAll(t, openSequence(t, s), 8, block)
		if n := testEnv.Traffic().Cache - after.Cache; n != 2*int64(len(block)) {
			t.Errorf("%s: %d bytes of keys and values counted, want %d", c.name, n, 2*len(block))
		}
	}
}
