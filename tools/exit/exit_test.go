// SPDX-License-Identifier: GPL-2.0-only

package exit

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

type failure struct{ code int }

func (f failure) Error() string { return "failure" }
func (f failure) ExitCode() int { return f.code }

func TestCode(t *testing.T) {
	tests := map[string]struct {
		err  error
		want int
	}{
		"nil":                     {nil, Good},
		"plain":                   {errors.New("x"), CheckFailed},
		"coder":                   {failure{PatchFailed}, PatchFailed},
		"wrapped coder":           {fmt.Errorf("apply: %w", failure{BuildFailed}), BuildFailed},
		"joined coder":            {errors.Join(errors.New("x"), failure{BootFailed}), BootFailed},
		"coder that claims good":  {failure{Good}, CheckFailed},
		"deadline":                {fmt.Errorf("boot: %w", context.DeadlineExceeded), TimedOut},
		"canceled":                {fmt.Errorf("build: %w", context.Canceled), Interrupted},
		"coder around a deadline": {With(BootFailed, context.DeadlineExceeded), BootFailed},
		"with":                    {fmt.Errorf("doctor: %w", With(MachineLacks, errors.New("no qemu"))), MachineLacks},
		"status of a program":     {fmt.Errorf("shell: %w", Status(139)), 139},
		"with nil":                {With(Usage, nil), Good},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Code(tc.err); got != tc.want {
				t.Errorf("Code(%v) = %d, want %d", tc.err, got, tc.want)
			}
		})
	}
}

func TestWithKeepsTheError(t *testing.T) {
	inner := errors.New("no qemu")
	err := With(MachineLacks, inner)
	if !errors.Is(err, inner) || err.Error() != inner.Error() {
		t.Errorf("With(7, %q) = %q, which hides the error", inner, err)
	}
}
