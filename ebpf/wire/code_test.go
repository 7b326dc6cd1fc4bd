// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// TestEnd sends an error over the boundary and gets it back.
func TestEnd(t *testing.T) {
	for want, in := range map[Code]error{
		"":        errors.New("something else"),
		ErrAttach: fmt.Errorf("get: %w: 3 events", ErrAttach),
	} {
		data, err := json.Marshal(NewEnd(in))
		if err != nil {
			t.Fatal(err)
		}
		var end End
		if err := json.Unmarshal(data, &end); err != nil {
			t.Fatal(err)
		}
		if end.Error() != in.Error() || end.Code != want || errors.Is(&end, ErrAttach) != (want == ErrAttach) {
			t.Errorf("%v: found %+v", in, end)
		}
	}
	if end := NewEnd(nil); *end != (End{}) {
		t.Errorf("no error: found %+v", end)
	}
}
