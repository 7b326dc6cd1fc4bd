// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/tools/cache"
)

// Host is what the machine is.
type Host struct {
	OS     string `json:"os"`     // "Debian GNU/Linux 12 (bookworm)"
	Kernel string `json:"kernel"` // that is running, as uname -r has it
	Arch   string `json:"arch"`   // as Go names it
	CPU    string `json:"cpu"`    // model, "" if unknown
	Cores  int    `json:"cores"`  // that this process may use

	// Memory and Available are in bytes: what the machine, or the control
	// group that this process is in, may use, and what of it is free.
	Memory    int64 `json:"memory"`
	Available int64 `json:"available"`

	CacheDir string `json:"cacheDir"`
	DiskFree int64  `json:"diskFree"` // bytes on the cache's disk
}

// Read describes this machine. The cache's directory need not exist yet.
func Read(cacheDir string) Host { return readHost("/", cacheDir) }

// readHost is Read for the files below root.
func readHost(root, cacheDir string) Host {
	h := Host{Arch: runtime.GOARCH, Cores: runtime.NumCPU(), CacheDir: cacheDir}
	read := func(name string) []byte {
		data, _ := os.ReadFile(filepath.Join(root, name))
		return data
	}
	h.OS = strings.Trim(field(read("etc/os-release"), "PRETTY_NAME", "="), `"`)
	h.CPU = field(read("proc/cpuinfo"), "model name", ":")
	h.Kernel = strings.TrimSpace(string(read("proc/sys/kernel/osrelease")))

	meminfo := read("proc/meminfo")
	h.Memory, h.Available = kibibytes(meminfo, "MemTotal"), kibibytes(meminfo, "MemAvailable")
	if limit, used, ok := cgroupMemory(read); ok && (h.Memory == 0 || limit < h.Memory) {
		h.Memory, h.Available = limit, min(h.Available, limit-used)
	}

	var err error
	h.DiskFree, err = cache.Free(cacheDir)
	for dir := cacheDir; err != nil && dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		h.DiskFree, err = cache.Free(dir)
	}
	return h
}

func field(data []byte, key, sep string) string {
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, sep); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// kibibytes returns a value of /proc/meminfo in bytes.
func kibibytes(meminfo []byte, key string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(field(meminfo, key, ":"), " kB"), 10, 64)
	return n << 10
}

// cgroupMemory returns the limit and the use of memory, in bytes, of the
// control group that this process is in, if it has a limit.
func cgroupMemory(read func(string) []byte) (limit, used int64, ok bool) {
	group := strings.TrimPrefix(strings.TrimSpace(string(read("proc/self/cgroup"))), "0::")
	if strings.Contains(group, "\n") || strings.Contains(group, "..") {
		return 0, 0, false // version 1
	}
	for dir := filepath.Join("sys/fs/cgroup", group); ; dir = filepath.Dir(dir) {
		max, err := strconv.ParseInt(strings.TrimSpace(string(read(dir+"/memory.max"))), 10, 64)
		if err == nil && (!ok || max < limit) {
			use, _ := strconv.ParseInt(strings.TrimSpace(string(read(dir+"/memory.current"))), 10, 64)
			limit, used, ok = max, use, true
		}
		if dir == "sys/fs/cgroup" || dir == "." {
			return limit, used, ok
		}
	}
}

// KVM is whether the machine has hardware virtualization.
type KVM struct {
	Present bool `json:"present"` // /dev/kvm exists
	Opens   bool `json:"opens"`   // and this user may open it
	// Works says that a guest booted with it: some hosts offer a device that opens
	// and hangs on an ordinary kernel.
	Works bool   `json:"works"`
	Why   string `json:"why"` // in words
}

// ReadKVM looks at the device that brings KVM, without trying it.
func ReadKVM(device string) KVM {
	info, err := os.Stat(device)
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return KVM{Why: device + " does not exist"}
	}
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return KVM{Present: true, Why: device + " cannot be opened: " + err.Error() + "; is this user in the group kvm?"}
	}
	unix.Close(fd)
	return KVM{Present: true, Opens: true, Why: "it opens; no guest was booted with it"}
}
