// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// Why a patch does not apply. An [ApplyError] wraps one of them.
var (
	ErrConflict   = errors.New("the tree has other lines than the patch expects")
	ErrAmbiguous  = errors.New("the hunk fits in more than one place")
	ErrApplied    = errors.New("already in this tree")
	ErrNoContext  = errors.New("the hunk has no context") // to tell where it belongs
	ErrIndexLine  = errors.New("the content is not what the index line says")
	ErrUnsafePath = errors.New("the path does not stay in the tree")      // or leads to git's own files
	ErrFile       = errors.New("the file is not as the patch expects it") // missing, there already, of another kind
	ErrCorrupt    = errors.New("corrupt patch")                           // it contradicts itself
	ErrTooLarge   = errors.New("too large")                               // for a limit of this package
)

// FormatError says that mails with patches are not as git am takes them, or make no series.
type FormatError struct {
	File   string // name of the file or, when it is about all of them, the directory
	Line   int    // 1-based line in the file, 0 if it is about the whole
	Reason string
	Err    error // ErrCorrupt, ErrTooLarge, or an error of the system; may be nil
}

func (e *FormatError) Error() string {
	where := e.File
	if e.Line > 0 {
		where += fmt.Sprintf(":%d", e.Line)
	}
	text := fmt.Sprintf("read the series: %s: %s", where, e.Reason)
	if e.Err != nil && e.Err != ErrCorrupt && e.Err != ErrTooLarge {
		text += ": " + e.Err.Error()
	}
	return progress.Printable(text)
}

// corrupt returns the error for a line of a file, whose name the caller adds.
func corrupt(line int, format string, args ...any) *FormatError {
	return &FormatError{Line: line, Reason: fmt.Sprintf(format, args...), Err: ErrCorrupt}
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// ExitCode implements [exit.Coder].
func (e *FormatError) ExitCode() int { return exit.PatchFailed }

// ApplyError says where and why a patch does not apply. Nothing was changed on disk.
type ApplyError struct {
	// Patch is the name of the patch's file, PatchLine the 1-based line in it
	// that is meant; 0 if there is none.
	Patch     string
	PatchLine int
	// Number is the place of the patch in the series, from 1.
	Number int
	// File is the path in the tree, "" if the patch has none that can be said.
	File string
	// Hunk counts the file's hunks from 1; 0 if it is about the file.
	Hunk int
	// Line is the 1-based line in the tree's file as earlier patches leave it; 0 if there is none.
	Line int
	// Expected and Found are the lines, or blob ids, or modes, that differ.
	Expected, Found string
	// Around are lines of the tree's file about Line.
	Around []FileLine
	// Candidates are where the hunk would fit.
	Candidates []Candidate
	// Reason is one sentence, Hint what can be done about it.
	Reason, Hint string
	// Err is, or wraps, one of this package's errors, or one of the system.
	Err error
}

// FileLine is one line of a file of the tree.
type FileLine struct {
	Number int
	Text   string
}

// Candidate is a place where a hunk would fit.
type Candidate struct {
	Line    int    // 1-based
	Heading string // the function it is in, as diff shows it
}

func (e *ApplyError) Error() string {
	var b strings.Builder
	write := func(given bool, format string, args ...any) {
		if given {
			fmt.Fprintf(&b, format, args...)
		}
	}
	write(true, "apply %s: ", e.Patch)
	write(e.File != "", "%s: ", e.File)
	write(e.Hunk > 0, "hunk %d: ", e.Hunk)
	write(e.Line > 0, "line %d: ", e.Line)
	write(true, "%s", e.Reason)
	write(e.Expected != "" || e.Found != "", "\n  expected: %s\n  found:    %s", e.Expected, e.Found)
	write(len(e.Around) > 0, "\n  %s has there:", e.File)
	for _, l := range e.Around {
		mark := ' '
		if l.Number == e.Line {
			mark = '>'
		}
		write(true, "\n  %c %6d  %s", mark, l.Number, l.Text)
	}
	for _, c := range e.Candidates {
		write(true, "\n  it fits at line %d", c.Line)
		write(c.Heading != "", " (in %s)", c.Heading)
	}
	write(e.PatchLine > 0, "\n  the patch says so at %s:%d", e.Patch, e.PatchLine)
	write(e.Hint != "", "\n  %s", e.Hint)
	return progress.Printable(b.String())
}

// Unwrap returns which kind of failure it is.
func (e *ApplyError) Unwrap() error { return e.Err }

// ExitCode implements [exit.Coder].
func (e *ApplyError) ExitCode() int { return exit.PatchFailed }
