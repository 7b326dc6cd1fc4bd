// SPDX-License-Identifier: GPL-2.0-only

package results

// Unknown is what stands for something about the running kernel that could not
// be found out.
const Unknown = "unknown"

// HostKernel is the machine while its own kernel was measured: what times depend
// on besides the kernel. What could not be read is Unknown.
type HostKernel struct {
	// Version is what uname -v prints, BuildID the kernel's GNU build ID.
	Version string `json:"version"`
	BuildID string `json:"build_id"`
	// ConfigFrom is where the configuration was read.
	ConfigFrom string `json:"config_from"`
	// Online are the processors, "0-7", and CPU is the one that was measured
	// on. Governor and Turbo are as cpufreq says them.
	Online   string `json:"online"`
	CPU      int    `json:"cpu"`
	Governor string `json:"governor"`
	Turbo    string `json:"turbo"` // on, off or Unknown
	// Virtualized says what the machine itself runs in, "no" if nothing that
	// shows.
	Virtualized string `json:"virtualized"`
	// Load is the load average of one minute before the first run, and after
	// the last one.
	Load [2]string `json:"load"`
	// NoMemory says why what VMs take was not counted, "" if it was.
	NoMemory string `json:"no_memory,omitempty"`
}
