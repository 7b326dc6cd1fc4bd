// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"
)

// monitorWait bounds an answer of QEMU's monitor: a QEMU that does not answer
// is part of what is being found out.
const monitorWait = time.Second

// qmpMonitor speaks QMP, QEMU's monitor protocol: JSON lines both ways.
type qmpMonitor struct {
	f       *os.File
	done    chan struct{}        // closed when QEMU has closed its end
	answers chan json.RawMessage // of commands, in order

	// shutdown is why QEMU says that the guest ended, such as guest-reset;
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
	go func() {
		defer close(m.done)
		in := bufio.NewScanner(f)
		in.Buffer(nil, 1<<20)
		first := true
		for in.Scan() {
			var msg qmpMessage
			if json.Unmarshal(in.Bytes(), &msg) != nil {
				continue
			}
			switch {
			case msg.Event == "SHUTDOWN":
				m.shutdown = msg.Data.Reason
			case first && (msg.Return != nil || msg.Error != nil):
				first = false // the answer to qmp_capabilities
			case msg.Return != nil || msg.Error != nil:
				select {
				case m.answers <- msg.Return:
				default:
				}
			}
		}
	}()
	return m
}

// ask sends a command and returns its answer, nil if none came in time.
func (m *qmpMonitor) ask(command string) json.RawMessage {
	if _, err := io.WriteString(m.f, command+"\n"); err != nil {
		return nil
	}
	select {
	case answer := <-m.answers:
		return answer
	case <-m.done:
	case <-time.After(monitorWait):
	}
	return nil
}

// whereabouts says what QEMU knows of a guest that is silent: its state and
// the address that each processor is at, with the function of the kernel. It
// is "" when QEMU is silent too.
func (m *qmpMonitor) whereabouts(kernel string) string {
	var status struct {
		Status string `json:"status"`
	}
	_ = json.Unmarshal(m.ask(`{"execute":"query-status"}`), &status)
	if status.Status == "" {
		return ""
	}
	text := "QEMU says it is " + status.Status
	var registers string
	_ = json.Unmarshal(m.ask(`{"execute":"human-monitor-command","arguments":{"command-line":"info registers -a"}}`), &registers)
	pcs := programCounters(registers)
	for i, pc := range pcs {
		if name := symbolAt(kernel, pc); name != "" {
			pcs[i] += " (" + name + ")"
		}
	}
	if len(pcs) > 0 {
		text += ", its processors at " + strings.Join(pcs, ", ")
	}
	return text
}

// programCounters finds the program counters in the monitor's list of
// registers: RIP=... or EIP=... on x86, PC=... on arm64, pc ... on riscv.
func programCounters(registers string) []string {
	var pcs []string
	fields := strings.Fields(registers)
	for i, field := range fields {
		if field == "pc" && i+1 < len(fields) && len(pcs) < 8 {
			pcs = append(pcs, "0x"+fields[i+1])
		}
		for _, name := range []string{"RIP=", "EIP=", "PC="} {
			if pc, ok := strings.CutPrefix(field, name); ok && len(pcs) < 8 {
				pcs = append(pcs, "0x"+pc)
			}
		}
	}
	return pcs
}
