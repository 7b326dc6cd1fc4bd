// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"cmp"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vcpulab/tools/arch"
	"vcpulab/tools/program"
)

// pipeSize is how many bytes of records a guest can write before it waits for us.
const pipeSize = 1 << 20

type process struct {
	*program.Process
	records *os.File // read end of the record port
	qmp     *os.File // our end of the monitor's socket
}

// startProcess starts QEMU, whose console goes to stdout. No context ends it: Kill it.
func startProcess(m Machine, stdout, stderr io.Writer) (*process, error) {
	records, recordsEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer recordsEnd.Close()
	// A smaller pipe works too, and unprivileged users have a limit.
	_, _ = unix.FcntlInt(recordsEnd.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	qmp, qmpEnd, err := socketPair("qmp")
	if err != nil {
		records.Close()
		return nil, err
	}
	defer qmpEnd.Close()

	p := &process{records: records, qmp: qmp}
	m.records, m.qmp = recordsEnd, qmpEnd
	args, files := m.args("")
	qemu := program.Program{Name: m.Arch.QEMU.Program, InheritEnv: true, Stdout: stdout, Stderr: stderr, ExtraFiles: files}
	if p.Process, err = qemu.Start(context.Background(), args...); err != nil {
		p.close()
		return nil, explainMissing(m.Arch, err)
	}
	return p, nil
}

func (p *process) close() {
	p.records.Close()
	p.qmp.Close()
}

// ended describes how QEMU ended; good is by itself and without an error.
func (p *process) ended() (how string, good bool) {
	err := p.Wait()
	if err == nil {
		return "QEMU ended by itself", true
	}
	if signal, ok := errors.AsType[*program.SignalError](err); ok {
		how = "QEMU was ended by " + unix.SignalName(signal.Signal)
		if signal.Signal == unix.SIGKILL {
			how += ", perhaps because memory ran out"
		}
		return how, false
	}
	if status, ok := errors.AsType[*program.StatusError](err); ok {
		return fmt.Sprintf("QEMU ended with status %d", status.Status), false
	}
	return err.Error(), false
}

// Bounds of an answer of QEMU's monitor, and of its writing a guest's memory. A QEMU
// that does not answer is part of what is being found out.
const (
	monitorWait = time.Second
	dumpWait    = 10 * time.Minute
)

// qmpMonitor speaks QMP, QEMU's monitor protocol: JSON both ways.
type qmpMonitor struct {
	f        *os.File
	in       *json.Decoder
	shutdown string // why the guest ended, in QEMU's words, such as guest-reset
}

// qmpMessage is a greeting, an event or an answer.
type qmpMessage struct {
	ID     string // of the command that is answered
	Event  string
	Return json.RawMessage
	Error  struct{ Desc string }
	Data   struct{ Reason string }
}

func startMonitor(f *os.File) *qmpMonitor {
	// Written before QEMU reads: the socket holds it.
	_, _ = io.WriteString(f, `{"execute":"qmp_capabilities"}`+"\n")
	return &qmpMonitor{f: f, in: json.NewDecoder(f)}
}

// answer reads messages until the answer with this id, or until none comes in time
// or QEMU has closed its end. Of events it keeps why the guest ended.
func (m *qmpMonitor) answer(id string, wait time.Duration) (json.RawMessage, error) {
	_ = m.f.SetReadDeadline(time.Now().Add(wait))
	for {
		var msg qmpMessage
		if err := m.in.Decode(&msg); err != nil {
			return nil, fmt.Errorf("QEMU's monitor: %w", err)
		}
		if msg.Event == "SHUTDOWN" {
			m.shutdown = msg.Data.Reason
		}
		switch {
		case msg.ID != id || id == "":
		case msg.Error.Desc != "":
			return nil, fmt.Errorf("QEMU's monitor: %s", msg.Error.Desc)
		default:
			return msg.Return, nil
		}
	}
}

// read is answer for what QEMU need not know.
func (m *qmpMonitor) read(id string) json.RawMessage {
	said, _ := m.answer(id, monitorWait)
	return said
}

// ask sends a command and puts its answer into v, if one comes in time.
func (m *qmpMonitor) ask(id, command string, v any) {
	if _, err := fmt.Fprintf(m.f, `{"id":%q,"execute":%s}`+"\n", id, command); err == nil {
		_ = json.Unmarshal(m.read(id), v)
	}
}

// dump writes the guest's memory to a file. gdb finds it by virtual addresses.
func (m *qmpMonitor) dump(file string) error {
	file, err := filepath.Abs(file)
	if err == nil {
		_, err = fmt.Fprintf(m.f, `{"id":"dump","execute":"dump-guest-memory","arguments":{"paging":true,"protocol":%q}}`+"\n", "file:"+file)
	}
	if err == nil {
		_, err = m.answer("dump", dumpWait)
	}
	if err != nil {
		return fmt.Errorf("write the guest's memory to %s: %w", file, err)
	}
	return nil
}

// describe returns what QEMU knows of a guest that is silent, its state and where each
// processor is, "" when QEMU is silent too.
func (m *qmpMonitor) describe(a arch.Arch, kernel string) string {
	var status struct{ Status string }
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
	for i := range pcs {
		if state := m.interrupts(a, i); state != "" {
			text += fmt.Sprintf("; processor %d: %s", i, state)
		}
	}
	return text
}

// interruptLine is of the timer and of the interrupts in what the monitor says of a local APIC.
var interruptLine = regexp.MustCompile(`(?m)^(?:Timer|ISR|IRR)\s.*$`)

// interrupts returns whether a processor's timer runs, and which of its interrupts wait: a
// processor that is idle with a timer that has run out waits for ever.
func (m *qmpMonitor) interrupts(a arch.Arch, processor int) string {
	if a.QEMU.Interrupts == "" {
		return ""
	}
	var apic string
	m.ask("interrupts", fmt.Sprintf(`"human-monitor-command","arguments":{"command-line":%q}`, fmt.Sprintf(a.QEMU.Interrupts, processor)), &apic)
	var lines []string
	for _, line := range interruptLine.FindAllString(apic, -1) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, ", ")
}

// programCounters finds the program counters in the monitor's list of registers.
func programCounters(a arch.Arch, registers string) []string {
	const maxCounters = 8
	var pcs []string
	for _, m := range regexp.MustCompile(`\b(?:`+a.QEMU.PC+`)([0-9a-f]+)`).FindAllStringSubmatch(registers, maxCounters) {
		pcs = append(pcs, "0x"+m[1])
	}
	return pcs
}

// symbolAt names the function of a kernel at addr, a number with 0x. It is "" when the
// kernel is no vmlinux with symbols or has none there, as for an address of a module.
func symbolAt(kernel, addr string) string {
	const maxSymbol = 64 << 10 // bytes, of a function whose size is not known
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

// silence measures how long a guest has shown no sign of life. Time in
// which QEMU waits for a processor of a busy host does not count.
type silence struct {
	limit time.Duration
	timer *time.Timer
	delay func() time.Duration // how long QEMU has waited for a processor so far

	last    time.Time     // of the last sign of life
	sampled time.Time     // when base was read
	base    time.Duration // delay then
}

const (
	// sampleEvery bounds how often delay is read, and so how much waiting before
	// the last sign of life may be subtracted by mistake.
	sampleEvery = time.Second
	// maxStretch bounds what waiting adds: a guest that spins on a busy host waits forever.
	maxStretch = 3
)

func newSilence(pid int, limit time.Duration) *silence {
	s := &silence{
		limit: limit,
		timer: time.NewTimer(limit),
		delay: func() time.Duration { return runDelay(fmt.Sprintf("/proc/%d/task", pid)) },
	}
	s.reset()
	return s
}

func (s *silence) reset() {
	s.last = time.Now()
	if s.last.Sub(s.sampled) >= sampleEvery {
		s.sampled, s.base = s.last, s.delay()
	}
	s.timer.Reset(s.limit)
}

// over tells, when the timer has fired, whether the silence has lasted for
// the limit; if not, the timer is set for what is left.
func (s *silence) over() bool {
	passed := time.Since(s.last)
	waited := min(max(0, s.delay()-s.base), (maxStretch-1)*s.limit)
	left := s.limit - (passed - waited)
	if left <= 0 {
		return true
	}
	s.timer.Reset(left)
	return false
}

// runDelay returns the longest time that a thread has spent waiting for a processor, 0
// where the kernel does not say. tasks is the process's task directory in /proc.
func runDelay(tasks string) time.Duration {
	files, _ := filepath.Glob(filepath.Join(tasks, "*", "schedstat"))
	var longest time.Duration
	for _, name := range files {
		data, _ := os.ReadFile(name) // nothing of a thread that has ended
		var ran, waited time.Duration
		_, _ = fmt.Sscan(string(data), (*int64)(&ran), (*int64)(&waited))
		longest = max(longest, waited)
	}
	return longest
}
