// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/junit"
	"vcpulab/tools/progress"
)

// Fate is how a mutant fared.
type Fate string

// The fates. All but Killed and Unnoticed fail a run.
const (
	Killed    Fate = "killed"           // the check that it names has found what it should
	Survived  Fate = "survived"         // the check has found nothing
	Otherwise Fate = "caught otherwise" // something else has caught it, or the check has found something else
	Unfounded Fate = "unfounded"        // the check finds something in the series without the mutant
	Unnoticed Fate = "unnoticed"        // nothing can catch it, for a reason that is given
)

// Result is how a mutant fared.
type Result struct {
	*Mutant
	Fate     Fate        `json:"verdict"`
	Found    *Complaint  `json:"found,omitempty"` // the first one that Finds matches
	Findings []Complaint `json:"findings,omitempty"`
	Seconds  float64     `json:"seconds"` // in an earlier run if Cached
	Cached   bool        `json:"cached"`
	Log      string      `json:"log"` // path of a file with the details
}

// good tells whether the mutant fared as it says.
func (r *Result) good() bool { return r.Fate == Killed || r.Fate == Unnoticed }

// by is the check that must catch the mutant, or why none can.
func (r *Result) by() string {
	if r.Unnoticed != "" {
		return "nothing: " + r.Unnoticed
	}
	return r.KilledBy.String()
}

// short is the result in a line.
func (r *Result) short() string {
	switch r.Fate {
	case Killed:
		return "killed by " + r.by() + ": " + clip(r.Found.String())
	case Unnoticed:
		return "noticed by " + r.by()
	case Survived:
		return "SURVIVED " + r.by()
	case Unfounded:
		return r.by() + " finds something in the series as it is: " + clip(r.Findings[0].String())
	}
	return fmt.Sprintf("CAUGHT OTHERWISE, not by %s: %s", r.by(), clip(r.Findings[0].String()))
}

// maxLine is how much of a finding is shown, in runes.
const maxLine = 160

// clip returns the first line of a text, bounded.
func clip(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(text); len(r) > maxLine {
		text = string(r[:maxLine-3]) + "..."
	}
	return text
}

// Report is the result of Run.
type Report struct{ Results []Result }

func (r *Report) counts() map[Fate]int {
	n := make(map[Fate]int)
	for _, res := range r.Results {
		n[res.Fate]++
	}
	return n
}

// closing is the last line of a report.
func (r *Report) closing() string {
	n := r.counts()
	s := fmt.Sprintf("%s, %d killed, %d survived", progress.Count(len(r.Results), "mutant"), n[Killed], n[Survived])
	for _, f := range []Fate{Otherwise, Unfounded, Unnoticed} {
		if n[f] > 0 {
			s += fmt.Sprintf(", %d %s", n[f], f)
		}
	}
	return s
}

//go:embed report.txt.tmpl
var reportText string

var texts = template.Must(template.New("").Funcs(template.FuncMap{
	"good":    (*Result).good,
	"by":      (*Result).by,
	"closing": (*Report).closing,
	"clip":    clip,
	"upper":   func(f Fate) string { return strings.ToUpper(string(f)) },
	"took": func(r Result) time.Duration {
		return time.Duration(r.Seconds * float64(time.Second)).Round(time.Second / 10)
	},

	"Survived":  func() Fate { return Survived },
	"Unfounded": func() Fate { return Unfounded },
}).Parse(reportText))

// WriteText writes a table of all mutants, details of those that were not
// killed, and the closing line.
func (r *Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	err := texts.ExecuteTemplate(t, "table", r)
	if err == nil {
		err = t.Flush()
	}
	if err == nil {
		err = texts.ExecuteTemplate(w, "rest", r)
	}
	return err
}

// details says what is wrong with a mutant that was not killed.
func (r *Result) details() string {
	var b strings.Builder
	_ = texts.ExecuteTemplate(&b, "details", r) // a Builder takes anything
	return b.String()
}

// MarshalJSON implements [json.Marshaler]: it adds how many fared how.
func (r *Report) MarshalJSON() ([]byte, error) {
	n := r.counts()
	return json.Marshal(struct {
		Results  []Result `json:"mutants"`
		Killed   int      `json:"killed"`
		Survived int      `json:"survived"`
		Failed   int      `json:"failed"`
	}{r.Results, n[Killed], n[Survived], len(r.Results) - n[Killed] - n[Unnoticed]})
}

// Save writes the report into dir, for programs and for CI systems.
func (r *Report) Save(dir string) error {
	suite := junit.Suite{Name: "mutants"}
	for _, res := range r.Results {
		c := junit.Case{Name: res.Name, Took: junit.Seconds(res.Seconds), Output: res.short()}
		if !res.good() {
			c.Failure = &junit.Message{Line: res.short(), Sort: string(res.Fate), Text: res.details()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return junit.Save(dir, "mutants", r, suite)
}

// Err returns nil if all mutants were killed, else an error that names those
// that were not and stands for exit.CheckFailed. A run of none is not good.
func (r *Report) Err() error {
	var bad []string
	for _, res := range r.Results {
		if !res.good() {
			bad = append(bad, fmt.Sprintf("%s (%s)", res.Name, res.Fate))
		}
	}
	switch {
	case len(r.Results) == 0:
		return exit.With(exit.CheckFailed, errors.New("mutants: expected some, found none"))
	case len(bad) == 0:
		return nil
	}
	return exit.With(exit.CheckFailed, fmt.Errorf("mutants: %d of %d were not killed: %s", len(bad), len(r.Results), strings.Join(bad, ", ")))
}
