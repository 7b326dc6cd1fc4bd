// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

const list = `# comment

[[group]]
name = "build"
purpose = "build kernels"
packages = [
    { name = "test-tool", provides = "test-tool", why = "tool" },
    { name = "test-dev", provides = "<test/h.h>", why = "header" },
]

[[group]]
name = "boot"
purpose = "boot kernels"
packages = [
    { name = "test-qemu", provides = "test-qemu", why = "qemu" },
    { name = "test-tool", provides = "test-tool", why = "tool" },
]
`

// parseList loads a list from a file with this content.
func parseList(t *testing.T, data []byte) (*List, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packages.toml")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(name)
}

func parse(t *testing.T) *List {
	t.Helper()
	l, err := parseList(t, []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestCommittedList reads the project's own list, and compares it with the
// architectures.
func TestCommittedList(t *testing.T) {
	l, err := Load("../../ci/packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"build", "boot", "bpf", "verify", "selftests", "test", "matrix", "clang"} {
		if p, err := l.Packages(group); err != nil || len(p) == 0 {
			t.Errorf("group %s: %v, %v", group, p, err)
		}
	}
	qemus, err := l.Packages("boot")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range arch.Arches() {
		if a.Group != "" {
			if _, err := l.Packages(a.Group); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		}
		if q := a.QEMU; a.Boots() && !slices.ContainsFunc(qemus, func(p Package) bool { return p.Name == q.Package && p.Provides == q.Program }) {
			t.Errorf("%s: group boot has no %s that provides %s", a.Name, q.Package, q.Program)
		}
	}
}

func TestParse(t *testing.T) {
	l := parse(t)
	if diff := cmp.Diff([]string{"build", "boot"}, l.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	got, err := l.Packages("build", "boot")
	want := []Package{{"test-tool", "test-tool", "tool"}, {"test-dev", "<test/h.h>", "header"}, {"test-qemu", "test-qemu", "qemu"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = l.Packages("build", "moon")
	if exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), "build, boot") {
		t.Errorf("unknown group: %v", err)
	}

	const group = "[[group]]\nname = \"a\"\npurpose = \"b\"\n"
	flex := func(fields string) string { return "[[group.packages]]\nname = \"flex\"\n" + fields }
	const good = "provides = \"flex\"\nwhy = \"lexer\"\n"
	for name, tc := range map[string]struct{ in, says string }{
		"no TOML":           {"[group\n", "packages.toml: 1| [group"},
		"unknown field":     {group + "need = 1\n", "packages.toml: "},
		"no purpose":        {"[[group]]\nname = \"build\"\n", `group "build": expected a name and a purpose`},
		"no reason":         {group + flex("provides = \"flex\"\n"), `group a: package "flex": expected`},
		"no program":        {group + flex("why = \"lexer\"\n"), `group a: package "flex": expected`},
		"duplicate group":   {group + group, "duplicate group a"},
		"duplicate package": {group + flex(good) + flex(good), "group a: duplicate package flex"},
		"option of apt-get": {group + "[[group.packages]]\nname = \"-oAPT::x=1\"\n" + good, `package "-oAPT::x=1": expected`},
		"empty":             {"# nothing\n", "no group"},
	} {
		if _, err := parseList(t, []byte(tc.in)); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: expected wrong use with %q, found %v", name, tc.says, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(list))
	f.Add([]byte("[[group]]\nname='a'\npurpose='b'\npackages=[{name='cc',provides='d',why='e'}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseList(t, data)
		if err != nil {
			return
		}
		packages, err := l.Packages(l.Names()...)
		if err != nil {
			t.Error(err)
		}
		for _, p := range packages {
			// They go onto the command line of a program that runs as root.
			if p.Name[0] == '-' || strings.ContainsAny(p.Name, " \t\n;|&$") {
				t.Errorf("package %q", p)
			}
		}
	})
}

// bin makes a directory of programs, the only one in PATH but for the shell's
// own. Each is a shell script.
func bin(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"env", "cat", "touch", "chmod"} {
		for _, from := range []string{"/usr/bin/", "/bin/"} {
			if _, err := os.Stat(from + name); err == nil {
				os.Symlink(from+name, filepath.Join(dir, name))
			}
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("BIN", dir)
	return dir
}

// dpkg-query as it answers when it knows two packages and not the third.
const dpkgQuery = `echo "test-dev installed"
echo "test-tool config-files"
echo "dpkg-query: no packages found matching test-qemu" >&2
exit 1
`

func TestMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"by dpkg":             {map[string]string{"dpkg-query": dpkgQuery}, "test-tool test-qemu"},
		"by hand":             {map[string]string{"dpkg-query": dpkgQuery, "test-qemu": ""}, "test-tool"},
		"nothing":             {map[string]string{"dpkg-query": dpkgQuery, "test-qemu": "", "test-tool": ""}, ""},
		"not on Debian":       {map[string]string{"test-tool": ""}, "test-dev test-qemu"},
		"dpkg knows nothing":  {map[string]string{"dpkg-query": "exit 1"}, "test-tool test-dev test-qemu"},
		"unfinished packages": {map[string]string{"dpkg-query": "echo 'test-dev half-configured'"}, "test-tool test-dev test-qemu"},
	} {
		t.Run(name, func(t *testing.T) {
			bin(t, tc.programs)
			got, err := parse(t).Missing(t.Context(), "build", "boot")
			if names(got) != tc.want || err != nil {
				t.Errorf("Missing = %q, %v, want %q", names(got), err, tc.want)
			}
		})
	}
}

func TestFoundHeaders(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"usr/include/libelf.h", "usr/include/x86_64-linux-gnu/openssl/opensslv.h", "usr/aarch64-linux-gnu/include/gnu/libc-version.h"} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for p, want := range map[Package]bool{
		{"libelf-dev", "<libelf.h>", ""}:                              true,
		{"libssl-dev", "<openssl/opensslv.h>", ""}:                    true,
		{"libc6-dev-arm64-cross", "<gnu/libc-version.h>", ""}:         true,
		{"libc6-dev-riscv64-cross", "<gnu/libc-version.h>", ""}:       false,
		{"libc6-dev", "<gnu/libc-version.h>", ""}:                     false,
		{"uuid-dev", "<uuid/uuid.h>", ""}:                             false,
		{"test", "no-such-program-here", ""}:                          false,
		{"libelf-dev-arm64-cross", "<libelf.h>", "another machine's"}: false,
	} {
		if got := p.found(root); got != want {
			t.Errorf("%s: %v", p.Name, got)
		}
	}
}

// apt-get that keeps a record of how it was called. "installing" makes the
// programs.
const (
	record  = `echo "$0 $DEBIAN_FRONTEND $*" >> "$BIN/record"` + "\n"
	install = `for p in test-tool test-qemu; do echo "Setting up $p"; echo "#!/bin/sh" > "$BIN/$p"; chmod +x "$BIN/$p"; done` + "\n"
)

func TestInstall(t *testing.T) {
	const noLists = `case "$*" in
*update*) touch "$BIN/updated";;
*) if [ ! -e "$BIN/updated" ]; then echo "E: Unable to locate package test-tool"; exit 100; fi
` + install + ";; esac\n"
	tests := map[string]struct {
		apt   string
		calls []string // verbs that apt-get was called with
		fails string   // what the error says; "" is none
	}{
		"at once":           {install, []string{"install"}, ""},
		"lists are missing": {noLists, []string{"install", "update", "install"}, ""},
		"update fails":      {"echo 'E: Failed to fetch x'; exit 100", []string{"install", "update"}, "E: Failed to fetch x"},
		"fails otherwise":   {"echo 'E: dpkg was interrupted'; exit 100", []string{"install"}, "E: dpkg was interrupted"},
		"installs nothing":  {"echo fine", []string{"install"}, "missing all the same"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				// apt-get is reached by way of sudo then.
				tc.apt = "true\n" + tc.apt
			}
			dir := bin(t, map[string]string{
				"apt-get": record + tc.apt, "dpkg-query": dpkgQuery,
				"sudo": `[ "$1" = -n ] && shift; exec "$@"`,
			})
			var out bytes.Buffer
			got, err := parse(t).Install(t.Context(), progress.New(&out), "build", "boot")
			data, _ := os.ReadFile(filepath.Join(dir, "record"))
			var calls []string
			for line := range strings.Lines(string(data)) {
				if !strings.Contains(line, "apt-get noninteractive --yes") {
					t.Errorf("apt-get may ask: %s", line)
				}
				verb := "install"
				if strings.Contains(line, " update") {
					verb = "update"
				} else if !strings.HasSuffix(line, " test-tool test-qemu\n") || !strings.Contains(line, "--no-install-recommends") {
					t.Errorf("installs something else: %s", line)
				}
				calls = append(calls, verb)
			}
			if diff := cmp.Diff(tc.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if tc.fails != "" {
				if exit.Code(err) != exit.MachineLacks || !strings.Contains(err.Error(), tc.fails) ||
					!strings.Contains(err.Error(), "sudo apt-get install --no-install-recommends test-tool test-qemu") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || names(got) != "test-tool test-qemu" {
				t.Errorf("Install = %v, %v", got, err)
			}
			// Nothing to do the second time.
			if again, err := parse(t).Install(t.Context(), nil, "build", "boot"); again != nil || err != nil {
				t.Errorf("second Install = %v, %v", again, err)
			}
			if now, _ := os.ReadFile(filepath.Join(dir, "record")); string(now) != string(data) {
				t.Error("apt-get was called again")
			}
		})
	}
}

func TestInstallCannot(t *testing.T) {
	for name, tc := range map[string]struct {
		programs map[string]string
		uid      int
		says     string
		sudo     bool
	}{
		"root":                 {map[string]string{"apt-get": ""}, 0, "", false},
		"sudo":                 {map[string]string{"apt-get": "", "sudo": ""}, 1000, "", true},
		"no sudo":              {map[string]string{"apt-get": ""}, 1000, "sudo is not installed", false},
		"sudo with a password": {map[string]string{"apt-get": "", "sudo": "exit 1"}, 1000, "asks for a password", false},
		"not Debian":           {nil, 0, "no apt-get", false},
	} {
		t.Run(name, func(t *testing.T) {
			bin(t, tc.programs)
			prefix, why := aptPrefix(t.Context(), tc.uid)
			if (why == "") != (tc.says == "") || !strings.Contains(why, tc.says) {
				t.Fatalf("%v, %q", prefix, why)
			}
			if args := aptGet(prefix, "update"); why == "" && (args[0] == "sudo") != tc.sudo {
				t.Errorf("args %q", args)
			}
		})
	}

	bin(t, nil)
	_, err := parse(t).Install(t.Context(), nil, "boot")
	if exit.Code(err) != exit.MachineLacks {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"test-qemu (qemu)", "no apt-get", "On Debian they are installed with: sudo apt-get install"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
}

func TestInstallInterrupted(t *testing.T) {
	dir := bin(t, map[string]string{
		"apt-get":    `echo started > "$BIN/started"; exec cat "$BIN/never"`,
		"dpkg-query": dpkgQuery, "sudo": `[ "$1" = -n ] && shift; exec "$@"`,
	})
	for _, name := range []string{"started", "never"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		os.ReadFile(filepath.Join(dir, "started")) // returns when apt-get runs
		cancel()
	}()
	if _, err := parse(t).Install(ctx, nil, "boot"); exit.Code(err) != exit.Interrupted {
		t.Errorf("error %v", err)
	}
}

// TestOutput keeps the last lines of apt-get, of progress that overwrites
// itself the last.
func TestOutput(t *testing.T) {
	for in, want := range map[string]string{
		`printf '10%%\r20%%\r\nend\n\n'; exit 1`:                                                 "20%\nend",
		`printf 'Get:1 x\n'; for i in 1 2 3 4 5 6 7 8 9 a b c d e f g; do echo $i; done; exit 1`: "2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\nd\ne\nf\ng",
	} {
		if got, err := runApt(t.Context(), []string{"sh", "-c", in}, nil); err == nil || got != want {
			t.Errorf("%s: expected %q, found %q, %v", in, want, got, err)
		}
	}
}

func TestDoctor(t *testing.T) {
	bin(t, map[string]string{
		"dpkg-query": dpkgQuery, "test-qemu": `echo; echo "QEMU emulator version 7.2"`, "git": "echo git version 2",
		"go": `echo "go $1"`, "make": "", "gcc": "exit 1", "apt-get": "", "sudo": "",
	})
	r, err := Doctor(t.Context(), parse(t), filepath.Join(t.TempDir(), "not", "there", "yet"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if names(r.Lacking()) != "test-tool" {
		t.Errorf("lacking %v", r.Lacking())
	}
	versions := map[string]string{}
	for _, tool := range r.Tools {
		versions[tool.Provides] = tool.Version
	}
	if versions["test-qemu"] != "QEMU emulator version 7.2" || versions["go"] != "go version" || versions["gcc"] != "" {
		t.Errorf("versions %q", versions)
	}
	if r.Host.DiskFree <= 0 || r.Host.Memory <= 0 || r.Host.Cores < 1 || r.Host.Kernel == "" {
		t.Errorf("host %+v", r.Host)
	}
	for _, j := range r.Jobs {
		if j.Can || !slices.Contains(j.Lacks, "test-tool") {
			t.Errorf("job %+v", j)
		}
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MISSING: tool", "lacks test-tool", "sudo apt-get install --no-install-recommends test-tool", "QEMU emulator version 7.2"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\ndoes not say %q", &text, want)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || cmp.Diff(*r, back) != "" {
		t.Errorf("JSON: %v\n%s", err, cmp.Diff(*r, back))
	}
}

func TestJobsWantDiskAndMemory(t *testing.T) {
	r := &Report{Host: Host{DiskFree: 1 << 30, Memory: 2 << 30, CacheDir: "/cache"}}
	jobs := r.jobs(parse(t))
	if jobs[0].Can || len(jobs[0].Lacks) != 2 || !strings.Contains(jobs[0].Lacks[0], "1.0 GiB free in /cache") {
		t.Errorf("build: %+v", jobs[0])
	}
	if !jobs[1].Can {
		t.Errorf("boot: %+v", jobs[1])
	}
}

func TestReadHost(t *testing.T) {
	root := t.TempDir()
	for name, data := range map[string]string{
		"etc/os-release":                            "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"proc/cpuinfo":                              "processor\t: 0\nmodel name\t: AMD EPYC\n",
		"proc/sys/kernel/osrelease":                 "6.1.0\n",
		"proc/meminfo":                              "MemTotal:       24000 kB\nMemAvailable:   20000 kB\n",
		"proc/self/cgroup":                          "0::/user/session\n",
		"sys/fs/cgroup/user/memory.max":             "8192000\n",
		"sys/fs/cgroup/user/memory.current":         "192000\n",
		"sys/fs/cgroup/user/session/memory.max":     "max\n",
		"sys/fs/cgroup/user/session/memory.current": "1\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := readHost(root, root)
	got.DiskFree, got.Cores, got.Arch = 0, 0, ""
	want := Host{OS: "Debian GNU/Linux 12 (bookworm)", CPU: "AMD EPYC", Kernel: "6.1.0", Memory: 8192000, Available: 8000000, CacheDir: root}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
}

func TestReadKVM(t *testing.T) {
	if k := ReadKVM(filepath.Join(t.TempDir(), "kvm")); k.Present || k.Why == "" {
		t.Errorf("not there: %+v", k)
	}
	// Any character device that opens will do.
	if k := ReadKVM("/dev/null"); !k.Present || !k.Opens || k.Works {
		t.Errorf("opens: %+v", k)
	}
}
