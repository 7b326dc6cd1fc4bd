// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vcpulab/tools/arch"
)

// monitorWait bounds an answer of QEMU's monitor: a QEMU that does not answer
// is part of what is being found out.
const monitorWait = time.Second

// qmpMonitor speaks QMP, QEMU's monitor protocol: JSON lines both ways.
type qmpMonitor struct {
	f       *os.File
	done    chan struct{}        // closed when QEMU has closed its end
	answers chan json.RawMessage // of commands, in order

	// shutdown is why the guest ended, in QEMU's words, such as guest-reset;
	// valid after done.
	shutdown string
}

// qmpMessage is a greeting, an event or an answer.
type qmpMessage struct {
	QMP    json.RawMessage `json:"QMP"`
	Event  string          `json:"event"`
	Return json.RawMessage `json:"return"`
	Error  json.RawMessage `json:"error"`
	Data   struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

// startMonitor greets QEMU and listens for events until f is closed.
func startMonitor(f *os.File) *qmpMonitor {
	m := &qmpMonitor{f: f, done: make(chan struct{}), answers: make(chan json.RawMessage, 4)}
	// Written before QEMU reads: the socket holds it.
	_, _ = io.WriteString(f, `{"execute":"qmp_capabilities"}`+"\n")
	go m.listen()
	return m
}

func (m *qmpMonitor) listen() {
	defer close(m.done)
	in := bufio.NewScanner(m.f)
	in.Buffer(nil, 1<<20)
	greeted := false
	for in.Scan() {
		var msg qmpMessage
		if json.Unmarshal(in.Bytes(), &msg) != nil {
			continue
		}
		switch {
		case msg.Event == "SHUTDOWN":
			m.shutdown = msg.Data.Reason
		case msg.Return == nil && msg.Error == nil:
		case !greeted:
			greeted = true // the answer to qmp_capabilities
		default:
			select {
			case m.answers <- msg.Return:
			default:
			}
		}
	}
}

// ask sends a command and puts its answer into v, if one comes in time.
func (m *qmpMonitor) ask(command string, v any) {
	if _, err := io.WriteString(m.f, command+"\n"); err != nil {
		return
	}
	select {
	case answer := <-m.answers:
		_ = json.Unmarshal(answer, v)
	case <-m.done:
	case <-time.After(monitorWait):
	}
}

// describe returns what QEMU knows of a guest that is silent: its state and the
// address of each processor, with the function of the kernel. It is "" when
// QEMU is silent too.
func (m *qmpMonitor) describe(a arch.Arch, kernel string) string {
	var status struct {
		Status string `json:"status"`
	}
	m.ask(`{"execute":"query-status"}`, &status)
	if status.Status == "" {
		return ""
	}
	text := "QEMU's status is " + status.Status

	var registers string
	m.ask(`{"execute":"human-monitor-command","arguments":{"command-line":"info registers -a"}}`, &registers)
	pcs := programCounters(a, registers)
	for i, pc := range pcs {
		if name := symbolAt(kernel, pc); name != "" {
			pcs[i] += " (" + name + ")"
		}
	}
	if len(pcs) > 0 {
		text += ", its processors are at " + strings.Join(pcs, ", ")
	}
	return text
}

// maxCounters bounds the processors whose addresses are shown.
const maxCounters = 8

// programCounters finds the program counters in the monitor's list of registers.
func programCounters(a arch.Arch, registers string) []string {
	var pcs []string
	for _, m := range regexp.MustCompile(`\b(?:`+a.QEMU.PC+`)([0-9a-f]+)`).FindAllStringSubmatch(registers, maxCounters) {
		pcs = append(pcs, "0x"+m[1])
	}
	return pcs
}

// maxSymbol is the size that a function without a size is assumed to have at
// most, in bytes.
const maxSymbol = 64 << 10

// symbolAt names the function of a kernel at addr, a hexadecimal number with
// 0x. It is "" when the kernel is not a vmlinux with symbols or has none there:
// an address of a module or of a program.
func symbolAt(kernel, addr string) string {
	pc, err := strconv.ParseUint(addr, 0, 64)
	if err != nil {
		return ""
	}
	f, err := elf.Open(kernel)
	if err != nil {
		return ""
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return ""
	}

	name, start := "", uint64(0)
	for _, s := range symbols {
		size := s.Size
		if size == 0 {
			size = maxSymbol
		}
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value <= pc && pc-s.Value < size && s.Value >= start {
			name, start = s.Name, s.Value
		}
	}
	return name
}
