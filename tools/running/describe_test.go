// SPDX-License-Identifier: GPL-2.0-only

package running

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/results"
)

const someConfig = "CONFIG_LOCALVERSION=\"-a\"\nCONFIG_HZ=250\nCONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_PREEMPT_DYNAMIC=y\nCONFIG_PREEMPT_RCU=y\n"

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDescribe: what is there is read, and what is not is said to be unknown.
func TestDescribe(t *testing.T) {
	s := machine(t, map[string]string{
		"boot/config-6.12.9":                   someConfig,
		"proc/version":                         "Linux version 6.12.9 (me@home) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP\n",
		"proc/sys/kernel/version":              "#1 SMP\n",
		"proc/loadavg":                         "0.42 0.3 0.2 1/200 4000\n",
		"proc/cpuinfo":                         "processor\t: 0\nflags\t\t: fpu hypervisor svm\n",
		"sys/class/dmi/id/sys_vendor":          "QEMU\n",
		"sys/class/dmi/id/product_name":        "Standard PC\n",
		"sys/devices/system/cpu/online":        "0-7\n",
		"sys/devices/system/cpu/cpufreq/boost": "0\n",
		"sys/kernel/notes": "\x04\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00Xen\x00ab\x00\x00" +
			"\x04\x00\x00\x00\x03\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x02\xff\x00",
	})
	k, r, err := Describe(s, "here")
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != "6.12.9" || k.Compiler != "gcc-12 (Debian 12.2.0-14) 12.2.0" || k.HZ != 250 || k.Image != "0102ff" ||
		k.Preemption != "voluntary (dynamic)" || k.RCU != "preemptible" || len(k.Config) != 64 {
		t.Errorf("the kernel: %+v", k)
	}
	if r.Version != "#1 SMP" || r.Online != "0-7" || r.Turbo != "off" || r.Virtualized != "yes, QEMU Standard PC" ||
		r.Governor != results.Unknown || r.Load[0] != "0.42" || r.ConfigFrom != "/boot/config-6.12.9" {
		t.Errorf("what it runs on: %+v", r)
	}

	// What a kernel is called does not make it another one; the running kernel's
	// own word counts more than a file's.
	s = machine(t, map[string]string{"boot/config-6.12.9": "CONFIG_HZ=100\n", "proc/config.gz": zipped(t, someConfig[len("CONFIG_LOCALVERSION=\"-a\"\n"):])})
	other, r, err := Describe(s, "here")
	if err != nil || other.Config != k.Config || r.ConfigFrom != "/proc/config.gz" {
		t.Errorf("expected the same configuration, found %s and %s from %s, %v", k.Config, other.Config, r.ConfigFrom, err)
	}

	s = machine(t, nil)
	if k, r, err = Describe(s, "here"); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"config": k.Config, "compiler": k.Compiler, "preemption": k.Preemption, "RCU": k.RCU, "image": k.Image,
		"config from": r.ConfigFrom, "turbo": r.Turbo, "governor": r.Governor, "load": r.Load[0], "online": r.Online,
	} {
		if got != results.Unknown {
			t.Errorf("%s: expected it to be unknown, found %q", name, got)
		}
	}
	if r.Virtualized != "no" || k.HZ != 0 {
		t.Errorf("expected no virtualization that shows and no HZ, found %q and %d", r.Virtualized, k.HZ)
	}
	if _, _, err = Describe(machine(t, map[string]string{"proc/config.gz": "nonsense"}), "here"); err == nil {
		t.Error("expected nonsense to be no configuration")
	}
}

func TestCommandLine(t *testing.T) {
	got := CommandLine("BOOT_IMAGE=/boot/vmlinuz-6.12.9-a root=UUID=0-1 ro quiet mitigations=off rd.luks.uuid=1 resume=/dev/sda2 tsc=reliable")
	if want := "ro quiet mitigations=off tsc=reliable"; got != want {
		t.Errorf("expected %q, found %q", want, got)
	}
}

// FuzzDescribe: what cannot be read is unknown, not empty.
func FuzzDescribe(f *testing.F) {
	f.Add("Linux version 6.12.9 (me@home) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP\n", "\x04\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00GNU\x00\x01\x02\x00\x00", "ro root=/dev/sda rd.a=1\n", "0.42 0.3\n")
	f.Add("", "\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00\x00GNU\x00", " \n", " ")
	parent := f.TempDir()
	f.Fuzz(func(t *testing.T, version, notes, line, load string) {
		s := System{Root: filepath.Join(parent, fmt.Sprint(os.Getpid()))}
		for name, text := range map[string]string{"sys/kernel/notes": notes, "proc/version": version, "proc/loadavg": load} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(s.path(name)), 0o755), os.WriteFile(s.path(name), []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if id := s.buildID(); id == "" || id != results.Unknown && strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("a build ID of %q", id)
		}
		if compiler(s.line("proc/version")) == "" || s.Load() == "" {
			t.Errorf("nothing is known of %q and %q", version, load)
		}
		if once := CommandLine(line); CommandLine(once) != once {
			t.Errorf("%q is left of %q", once, line)
		}
	})
}
