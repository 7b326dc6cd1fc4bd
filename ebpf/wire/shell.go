// SPDX-License-Identifier: GPL-2.0-only

package wire

const (
	TerminalDevice = "/dev/hvc0" // the guest's end of the terminal of a Shell
	// InputPort is where a guest with a Shell reads Inputs from, a line of JSON each:
	// the second port of the virtio-serial device.
	InputPort = "/dev/vport0p2"
)

// Shell is an interactive program, with a Loaded record for each module, a
// Start and a Test record. The programs of busybox are beside it in /bin.
type Shell struct {
	Args []string `json:"args"`          // the program, looked up in PATH, and its arguments
	Env  []string `json:"env,omitempty"` // NAME=value, besides PATH, HOME and TMPDIR
	// Terminal is the size of the terminal that it is on; with nil what it prints
	// comes as Output, and it reads Input.Data.
	Terminal *Size `json:"terminal,omitempty"`
}

// Loaded is where a module is in memory, for a debugger.
type Loaded struct {
	Path string `json:"path"` // Module.Path
	Text string `json:"text"` // address of its code, in hexadecimal with 0x
}

// Size is that of a terminal.
type Size struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// Output is what a program has printed.
type Output struct {
	Stderr bool   `json:"stderr,omitempty"` // not standard output
	Data   []byte `json:"data"`
}

// Input is what the host tells a guest with a Shell.
type Input struct {
	Data   []byte `json:"data,omitempty"` // for the program's standard input, which ends with EOF
	EOF    bool   `json:"eof,omitempty"`
	Resize *Size  `json:"resize,omitempty"` // the new size of the terminal
	Done   bool   `json:"done,omitempty"`   // all records have arrived, so that the guest may end
}
