// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"fmt"
	"strings"

	"vcpulab/tools/exit"
)

// FileError says that a pin file cannot be read or does not make sense.
type FileError struct {
	File         string
	Line, Column int // 1-based; 0 where it is not known
	Err          error
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("pin file %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("pin file %s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// ExitCode makes it wrong use.
func (e *FileError) ExitCode() int { return exit.Usage }

// ChecksumError says that what was downloaded is not what was pinned.
type ChecksumError struct {
	File            string // what was downloaded and where from
	Expected, Found string // SHA-256
}

func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%s: sha256 differs: expected %s, found %s; it was thrown away: try another mirror, or move the pin if the file was replaced on purpose",
		e.File, e.Expected, e.Found)
}

// ExitCode makes it a check that failed.
func (e *ChecksumError) ExitCode() int { return exit.CheckFailed }

// SizeError says that what a server offers has another size than was pinned.
type SizeError struct {
	File            string
	Expected, Found int64 // bytes; Found is what was announced, or received so far
}

func (e *SizeError) Error() string {
	if e.Found > e.Expected {
		return fmt.Sprintf("%s: is larger than expected: at most %d bytes, found %d", e.File, e.Expected, e.Found)
	}
	return fmt.Sprintf("%s: has another size than expected: %d bytes, found %d", e.File, e.Expected, e.Found)
}

// ExitCode makes it a check that failed.
func (e *SizeError) ExitCode() int { return exit.CheckFailed }

// CutOffError says that a download broke off, again and again.
type CutOffError struct {
	File      string
	Got, Size int64 // bytes; Size is 0 where it is not known
	Tries     int
	Err       error // what the last try ended with
}

func (e *CutOffError) Error() string {
	of := ""
	if e.Size > 0 {
		of = fmt.Sprintf(" of %d", e.Size)
	}
	next := "run the command again"
	if e.Got > 0 {
		next = "what arrived is kept: run the command again to go on from there"
	}
	return fmt.Sprintf("%s: cut off after %d%s bytes, %d tries: %v; %s", e.File, e.Got, of, e.Tries, e.Err, next)
}

func (e *CutOffError) Unwrap() error { return e.Err }

// ExitCode makes the network something that the machine lacks.
func (e *CutOffError) ExitCode() int { return exit.MachineLacks }

// UnreachableError says that a server could not be spoken to, or refused.
type UnreachableError struct {
	URL    string
	Status int   // of HTTP; 0 when there was no answer
	Err    error // nil when there was an answer
}

func (e *UnreachableError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s: the server answers %d", e.URL, e.Status)
	}
	return fmt.Sprintf("%s: not reachable: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// ExitCode makes the network something that the machine lacks.
func (e *UnreachableError) ExitCode() int { return exit.MachineLacks }

// GoneError says that the mirrors do not have the pinned package any more.
// Debian keeps replaced versions only for a while.
type GoneError struct {
	Pin       string // the pin's file
	Source    Source
	Available []Package // other versions that can be had, newest last
	ListErr   error     // why Available could not be found out, if so
}

func (e *GoneError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: no mirror has it any more (%s)", &e.Source, e.Source.Path)
	switch {
	case e.ListErr != nil:
		fmt.Fprintf(&b, "; which others there are could not be found out: %v", e.ListErr)
	case len(e.Available) == 0:
		fmt.Fprintf(&b, "; %s has no kernel source at all", e.Source.Suite)
	default:
		fmt.Fprintf(&b, "; %s has:", e.Source.Suite)
		for _, p := range e.Available {
			fmt.Fprintf(&b, "\n    %s %s\n        path = %q\n        size = %d\n        sha256 = %q", p.Name, p.Version, p.Path, p.Size, p.SHA256)
		}
		fmt.Fprintf(&b, "\nTo move the pin: put version, package, package-version, path, size and sha256 of one of them into %s,\n"+
			"run `go test ./tools/pin -run TestCommittedPin -update` for the new blob ids, and try the series on it", e.Pin)
	}
	return b.String()
}

// ExitCode makes it something that the machine lacks.
func (e *GoneError) ExitCode() int { return exit.MachineLacks }

// Mismatch is a file that is not as the pin has it.
type Mismatch struct {
	Path     string `json:"path"`
	Expected string `json:"expected"` // blob id
	Found    string `json:"found"`    // blob id, "" when the file is not there
}

func (m Mismatch) String() string {
	found := m.Found
	if found == "" {
		found = "no such file"
	}
	return fmt.Sprintf("%s: expected blob %s, found %s", m.Path, m.Expected, found)
}

// ContentError says that files of a tree are not as the pin has them.
type ContentError struct {
	Tree  string // the folder, or the archive that it was to come from
	Files []Mismatch
	Next  string // what to do about it
}

func (e *ContentError) Error() string {
	const most = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of the files that the series builds on are not the pinned ones:", e.Tree, len(e.Files))
	for _, m := range e.Files[:min(most, len(e.Files))] {
		fmt.Fprintf(&b, "\n    %s", m)
	}
	if len(e.Files) > most {
		fmt.Fprintf(&b, "\n    and %d more", len(e.Files)-most)
	}
	if e.Next != "" {
		fmt.Fprintf(&b, "\n%s", e.Next)
	}
	return b.String()
}

// ExitCode makes it a check that failed.
func (e *ContentError) ExitCode() int { return exit.CheckFailed }

// SourcesError says that a pinned kernel could be had from no source.
type SourcesError struct {
	Version string
	Tried   []SourceError // in the order in which they were tried
}

// SourceError is what came of one source.
type SourceError struct {
	Source string // what it is called
	Err    error
}

func (e *SourcesError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fetch linux-%s: no source has it:", e.Version)
	for _, s := range e.Tried {
		fmt.Fprintf(&b, "\n  %s: %s", s.Source, strings.ReplaceAll(s.Err.Error(), "\n", "\n  "))
	}
	b.WriteString("\nA kernel tree, git checkout, .deb or tarball of your own can be named instead: make apply-patches KERNEL_SRC=/path/to/linux")
	return b.String()
}

// Unwrap lets errors.Is and errors.As look at every source's error.
func (e *SourcesError) Unwrap() []error {
	errs := make([]error, len(e.Tried))
	for i, s := range e.Tried {
		errs[i] = s.Err
	}
	return errs
}

// NotKernelError says that a folder is not a kernel's source tree.
type NotKernelError struct {
	Dir string
	Why string
}

func (e *NotKernelError) Error() string {
	return fmt.Sprintf("%s is not a kernel source tree: %s; name the folder that holds the kernel's top Makefile", e.Dir, e.Why)
}

// ExitCode makes it wrong use.
func (e *NotKernelError) ExitCode() int { return exit.Usage }

// ArchiveError says that an archive is damaged or holds what it must not.
type ArchiveError struct {
	Archive string
	Member  string // "" when it is not about one
	Err     error
}

func (e *ArchiveError) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("unpack %s: %v", e.Archive, e.Err)
	}
	return fmt.Sprintf("unpack %s: %q: %v", e.Archive, e.Member, e.Err)
}

func (e *ArchiveError) Unwrap() error { return e.Err }

// ExitCode makes it a check that failed.
func (e *ArchiveError) ExitCode() int { return exit.CheckFailed }
