// SPDX-License-Identifier: GPL-2.0-only

// Package report shows people what was measured: Table on a terminal, Markdown
// in a README or a cover letter, HTML as a page with plots. All three show the
// same sheet, which is drawn from the figures of results.Results alone; the
// plots of creations are drawn from its raw samples.
//
// A number never stands without its unit, and a unit says which method it is
// from: instructions are counted by QEMU's TCG and are never shown as time,
// nanoseconds are from a real processor and stand in columns of their own.
package report
