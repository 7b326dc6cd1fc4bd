// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"debug/elf"
	"encoding/json"
	"fmt"
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

// qmpMonitor speaks QMP, QEMU's monitor protocol: JSON both ways.
type qmpMonitor struct {
	f  *os.File
	in *json.Decoder
	// shutdown is why the guest ended, in QEMU's words, such as guest-reset.
	shutdown string
}

// qmpMessage is a greeting, an event or an answer.
type qmpMessage struct {
	ID     string          `json:"id"` // of the command that is answered
	Event  string          `json:"event"`
	Return json.RawMessage `json:"return"`
	Data   struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

// startMonitor greets QEMU.
func startMonitor(f *os.File) *qmpMonitor {
	// Written before QEMU reads: the socket holds it.
	_, _ = io.WriteString(f, `{"execute":"qmp_capabilities"}`+"\n")
	return &qmpMonitor{f: f, in: json.NewDecoder(f)}
}

// read reads messages until the answer with this id, or until none comes in time
// or QEMU has closed its end. Of events it keeps why the guest ended.
func (m *qmpMonitor) read(id string) json.RawMessage {
	_ = m.f.SetReadDeadline(time.Now().Add(monitorWait))
	for {
		var msg qmpMessage
		if m.in.Decode(&msg) != nil {
			return nil
		}
		if msg.Event == "SHUTDOWN" {
			m.shutdown = msg.Data.Reason
		}
		if msg.ID == id && id != "" {
			return msg.Return
		}
	}
}

// ask sends a command and puts its answer into v, if one comes in time.
func (m *qmpMonitor) ask(id, command string, v any) {
	if _, err := fmt.Fprintf(m.f, `{"id":%q,"execute":%s}`+"\n", id, command); err == nil {
		_ = json.Unmarshal(m.read(id), v)
	}
}

// describe returns what QEMU knows of a guest that is silent: its state and the
// address of each processor, with the function of the kernel. It is "" when
// QEMU is silent too.
func (m *qmpMonitor) describe(a arch.Arch, kernel string) string {
	var status struct {
		Status string `json:"status"`
	}
	m.ask("status", `"query-status"`, &status)
	if status.Status == "" {
		return ""
	}
	text := "QEMU's status is " + status.Status

	var registers string
	m.ask("registers", `"human-monitor-command","arguments":{"command-line":"info registers -a"}`, &registers)
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
	pc, _ := strconv.ParseUint(addr, 0, 64)
	f, err := elf.Open(kernel)
	if err != nil {
		return ""
	}
	defer f.Close()
	symbols, _ := f.Symbols()

	var last elf.Symbol
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value <= pc && pc-s.Value < cmp.Or(s.Size, maxSymbol) && s.Value >= last.Value {
			last = s
		}
	}
	return last.Name
}
