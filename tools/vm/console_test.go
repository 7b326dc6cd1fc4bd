// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files, and take consoles from real guests")

// golden compares got with a file, or writes the file.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

// TestConsoles reads what real guests said: testdata/console holds their
// consoles and, in the golden files, the Fault or null.
func TestConsoles(t *testing.T) {
	logs, err := filepath.Glob("testdata/console/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatalf("no consoles: %v", err)
	}
	for _, file := range logs {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			whole := newConsole(maxConsole, nil)
			_, _ = whole.Write(data)
			whole.close()
			// How the bytes are cut must not matter.
			pieces := newConsole(maxConsole, nil)
			for _, b := range data {
				_, _ = pieces.Write([]byte{b})
			}
			pieces.close()
			if diff := cmp.Diff(whole.splats(), pieces.splats()); diff != "" {
				t.Errorf("byte by byte it differs:\n%s", diff)
			}
			// As if the run had ended well otherwise.
			res := &Result{Splats: whole.splats(), Console: whole.text()}
			out := evidence{good: true, result: res}.fault()
			text, err := json.MarshalIndent(out, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".log")+".golden", append(text, '\n'))
		})
	}
}

// errTest stands for a stream that stopped.
var errTest = iotest.ErrTimeout

// TestConsoleIsBounded: a guest that talks without end fills no memory.
func TestConsoleIsBounded(t *testing.T) {
	c := newConsole(1000, nil)
	line := strings.Repeat("x", 99) + "\n"
	for range 20 * maxSplats {
		_, _ = c.Write([]byte(line))
		_, _ = c.Write([]byte("WARNING: CPU: 0 PID: 1 at x\n"))
		_, _ = c.Write([]byte(strings.Repeat("y", 10000)))
	}
	_, _ = c.Write([]byte("\nKernel panic - not syncing: at last"))
	if c.fatal() {
		t.Error("the last line was taken before it was complete")
	}
	c.close()
	if n := len(c.text()); n > 1100 {
		t.Errorf("%d bytes are kept", n)
	}
	if n := len(c.splats()); n != maxSplats+1 {
		t.Errorf("expected %d splats and the panic, found %d", maxSplats, n)
	}
	if !c.fatal() {
		t.Error("the panic at the end was not seen")
	}
}

func TestExcerptLines(t *testing.T) {
	var text strings.Builder
	for range 100 {
		text.WriteString("before\r\n")
	}
	text.WriteString("\x1b[31mred\x1b[0m \x00 caf\u00e9\r\n")
	got := excerpt(text.String(), Hang, false)
	if len(got) != tailLines || got[len(got)-1] != `\x1b[31mred\x1b[0m \x00 café` {
		t.Errorf("found %d lines, the last %q", len(got), got[len(got)-1])
	}
	if got := excerpt("\r\n\r\n", Hang, false); got != nil {
		t.Errorf("expected nothing, found %q", got)
	}
}

func FuzzConsole(f *testing.F) {
	logs, _ := filepath.Glob("testdata/console/*.log")
	for _, file := range logs {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, 7)
	}
	f.Add([]byte("[    0.1] Kernel panic - not syncing: \xff\x00\r\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if piece <= 0 {
			piece = 1
		}
		whole, pieces := newConsole(4096, nil), newConsole(4096, nil)
		_, _ = whole.Write(data)
		whole.close()
		for rest := data; len(rest) > 0; {
			n := min(piece, len(rest))
			_, _ = pieces.Write(rest[:n])
			rest = rest[n:]
		}
		pieces.close()
		if diff := cmp.Diff(whole.splats(), pieces.splats()); diff != "" {
			t.Fatalf("cut in pieces of %d it differs:\n%s", piece, diff)
		}
		if n := len(whole.text()); n > 4096+64 {
			t.Fatalf("%d bytes are kept", n)
		}
		f := evidence{good: true, guest: whole.guest, result: &Result{Splats: whole.splats(), Console: whole.text()}, streamErr: errTest}.fault()
		if f == nil || len(f.Lines) > splatLines || strings.ContainsAny(f.Error(), "\x00\x1b\r") {
			t.Fatalf("a fault that cannot be shown: %+v", f)
		}
	})
}
