// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
	"vcpulab/tools/series"
	"vcpulab/tools/variant"
)

// figuresFile has the measurement that documents and messages quote, rivalsFile the
// one that rivals quote, each from the column of its name.
const (
	figuresFile = "figures.json"
	rivalsFile  = "figures-rivals.json"
)

func figures(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	mails := s.Series.Patches
	if s.Series.Cover != nil {
		mails = append([]*series.Patch{s.Series.Cover}, mails...)
	}
	file, after := figuresFile, variant.Patched
	if s.Rival {
		file, after = rivalsFile, s.Set
	}
	var measured *results.Results
	var found []Finding
	for _, p := range mails {
		rows := quotedRows(p.Message)
		if len(rows) > 0 && measured == nil {
			var err error
			if measured, err = results.Read(s.table(file)); err != nil {
				return nil, err
			}
		}
		for _, row := range rows {
			found = append(found, row.differences(p, measured, after)...)
		}
		fmt.Fprintf(log, "%s: %d rows\n", p.Name, len(rows))
	}
	return found, nil
}

// quotedRow is a row of the main table in a text: the figures of the unpatched and
// of the patched kernel.
type quotedRow struct {
	key    figure.Key
	text   string
	values [2]string
}

var rowPattern = regexp.MustCompile(`(?m)^ +(\S.*?)?  +([0-9]+)  +([0-9][0-9.,]*(?: M)?)  +([0-9][0-9.,]*(?: M)?)$`)

// quotedRows finds the rows of a text. One without a label is of the operation
// above it, and one whose label begins with a dash is of another kind of VM.
func quotedRows(text string) []quotedRow {
	var out []quotedRow
	var of *figure.Line
	for _, m := range rowPattern.FindAllStringSubmatch(text, -1) {
		label := strings.TrimSpace(m[1])
		if label != "" {
			of = lineLabelled(label, of)
		}
		size, err := strconv.Atoi(m[2])
		if of == nil || err != nil {
			continue
		}
		key := of.Of
		key.VCPUs = size
		out = append(out, quotedRow{key, strings.TrimSpace(m[0]), [2]string{m[3], m[4]}})
	}
	return out
}

// lineLabelled returns the line of the main table with a label, nil if there is
// none. Those below a line of their operation are looked for after it.
func lineLabelled(label string, above *figure.Line) *figure.Line {
	for _, line := range figure.Lines() {
		if strings.TrimSpace(line.Label) != label {
			continue
		}
		if !strings.HasPrefix(label, "-") || above != nil && above.Of.Op == line.Of.Op {
			return &line
		}
	}
	return nil
}

// differences compares a row with what was measured, of the unpatched kernel and of
// the one named after.
func (q quotedRow) differences(p *series.Patch, measured *results.Results, after string) []Finding {
	var found []Finding
	for i, text := range q.values {
		f := Finding{Patch: p.Name, Line: lineIn(p, q.text), Found: text, Do: "measure again (vcpulab bench), or quote what was measured"}
		column := []string{measured.Kernels[0].Name, after}[i]
		method := results.ICount
		if q.key.Operation().Timed {
			method = results.Native
		}
		was, ok := measured.Find(q.key, column, method)
		switch {
		case !ok:
			f.Message = fmt.Sprintf("%s of %s was not measured", q.key.Name(), column)
			found = append(found, f)
		case !rounds(was.Value, text, q.key.Operation().ApartRuns):
			f.Message = fmt.Sprintf("another figure than was measured: %s of %s", q.key.Name(), column)
			f.Expected = strconv.FormatFloat(was.Value, 'f', -1, 64)
			found = append(found, f)
		}
	}
	return found
}

// rounds says whether a text such as "48.68 M" is a value, rounded. Values that
// differ between two runs may be off by the part apart.
func rounds(value float64, text string, apart float64) bool {
	digits, isMillions := strings.CutSuffix(strings.ReplaceAll(text, ",", ""), " M")
	quoted, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return false
	}
	_, decimals, _ := strings.Cut(digits, ".")
	step := math.Pow10(-len(decimals))
	if isMillions {
		quoted, step = quoted*1e6, step*1e6
	}
	return math.Abs(value-quoted) <= max(step/2, value*apart)
}
