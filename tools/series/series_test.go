// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vcpulab/tools/exit"
)

const testSeries = "testdata/series/patches"

func TestLoad(t *testing.T) {
	s, err := Load(testSeries)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cover == nil || s.Cover.Subject != "KVM: Tidy up" || s.Cover.Number != 0 || s.Cover.Total != 3 {
		t.Errorf("cover letter: %+v", s.Cover)
	}
	if s.Version != 1 || len(s.ID) != 64 {
		t.Errorf("version %d, id %q", s.Version, s.ID)
	}
	paths := []string{"virt/kvm/Makefile.common", "virt/kvm/Makefile.kvm", "virt/kvm/binary_stats.c", "virt/kvm/vcpu_map.h", "virt/kvm/vfio.h"}
	if diff := cmp.Diff(paths, s.Paths()); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	p := s.Patches[0]
	want := &Patch{
		Number: 1, Total: 3, Version: 1, Name: "0001-KVM-vfio-Rename-the-functions-that-start-it.patch", Line: 1,
		Subject: "KVM: vfio: Rename the functions that start it",
		Author:  Person{Name: "vcpulab", Email: "series@vcpulab.invalid"},
		Date:    time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Message: "They do more than to initialize.\n\nFixes: 3c3c29fd0d7c (\"kvm-vfio: do not use module_init\")\nSigned-off-by: vcpulab <series@vcpulab.invalid>\n",
		Trailers: []Trailer{
			{Key: "Fixes", Value: `3c3c29fd0d7c ("kvm-vfio: do not use module_init")`},
			{Key: "Signed-off-by", Value: "vcpulab <series@vcpulab.invalid>"},
		},
	}
	got := *p
	got.Date = got.Date.UTC()
	got.Files, got.Mail, got.diff, got.tail, got.file, got.prefix = nil, nil, nil, nil, "", ""
	if diff := cmp.Diff(want, &got, cmp.AllowUnexported(Patch{})); diff != "" {
		t.Errorf("patch 1 (-want +got):\n%s", diff)
	}
}

// TestLoadMbox reads the same series from one file.
func TestLoadMbox(t *testing.T) {
	directory, err := Load(testSeries)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, p := range directory.mails() {
		data, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	file := filepath.Join(t.TempDir(), "series.mbox")
	if err := os.WriteFile(file, all, 0o644); err != nil {
		t.Fatal(err)
	}
	mbox, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if mbox.ID != directory.ID {
		t.Error("the same mails have another ID")
	}
	p := mbox.Patches[1]
	if p.Name != "series.mbox#3" || !strings.HasPrefix(string(all), "From ") {
		t.Errorf("name %q", p.Name)
	}
	// The line of the hunk in the file of all mails.
	lines := strings.SplitAfter(string(all), "\n")
	if at := p.Files[0].hunkLines[0]; !strings.HasPrefix(lines[at-1], "@@ -61,") {
		t.Errorf("line %d is %q", at, lines[at-1])
	}
}

// mailText is a small mail.
func mailText(subject, body string) string {
	return fmt.Sprintf("From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: a <a@vcpulab.invalid>\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nSubject: %s\n\nWhy.\n---\n%s-- \n2.39.5\n\n", subject, body)
}

const smallDiff = "diff --git a/f b/f\nindex 0123456..1234567 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"

func TestLoadRefuses(t *testing.T) {
	cover := mailText("[PATCH 0/2] KVM: Cover", "")
	one, two := mailText("[PATCH 1/2] KVM: One", smallDiff), mailText("[PATCH 2/2] KVM: Two", smallDiff)
	tests := map[string]struct {
		files map[string]string
		want  string
		line  int
	}{
		"nothing":                    {map[string]string{"README": "x"}, "holds no", 0},
		"empty file":                 {map[string]string{"1.patch": "\n\n"}, "is empty", 0},
		"gap":                        {map[string]string{"0001-a.patch": one, "0003-b.patch": mailText("[PATCH 3/3] KVM: Three", smallDiff)}, "number 2 is missing", 1},
		"duplicate":                  {map[string]string{"a.patch": one, "b.patch": one}, "is number 1, and so is a.patch", 1},
		"wrong total":                {map[string]string{"a.patch": one, "b.patch": mailText("[PATCH 2/3] KVM: Two", smallDiff)}, "3 patches; there are 2", 1},
		"first missing":              {map[string]string{"a.patch": two}, "number 1 is missing", 1},
		"two covers":                 {map[string]string{"a.patch": cover, "b.patch": cover, "c.patch": one, "d.patch": two}, "a second cover letter", 1},
		"cover only":                 {map[string]string{"a.patch": cover}, "there is no patch", 0},
		"cover with a patch":         {map[string]string{"a.patch": mailText("[PATCH 0/1] KVM: Cover", smallDiff)}, "carries a patch", 1},
		"no patch in a patch":        {map[string]string{"a.patch": cover, "b.patch": one, "c.patch": mailText("[PATCH 2/2] KVM: Two", "")}, "carries no patch", 1},
		"a reply":                    {map[string]string{"a.mbox": one + two + mailText("Re: KVM: One", "")}, "carries no patch and no number", 37},
		"versions differ":            {map[string]string{"a.patch": one, "b.patch": mailText("[PATCH v2 2/2] KVM: Two", smallDiff)}, "is of version 2", 1},
		"file name and subject":      {map[string]string{"0001-a.patch": two, "0002-b.patch": one}, "the file name says 2, the subject 1", 1},
		"one without number":         {map[string]string{"a.patch": one, "b.patch": mailText("[PATCH] KVM: Two", smallDiff)}, "has no number", 1},
		"no mail":                    {map[string]string{"a.patch": smallDiff}, "a mail starts with", 1},
		"damaged date":               {map[string]string{"a.patch": strings.Replace(one, "Mon, 2 Mar 2026 10:00:00 +0100", "yesterday", 1)}, "no date can be read", 1},
		"base64":                     {map[string]string{"a.patch": strings.Replace(one, "Subject:", "Content-Transfer-Encoding: base64\nSubject:", 1)}, "encoded as base64: save the patch with git format-patch", 1},
		"quoted-printable":           {map[string]string{"a.patch": strings.Replace(one, "Subject:", "Content-Transfer-Encoding: Quoted-Printable\nSubject:", 1)}, "encoded as quoted-printable: save the patch with git format-patch", 1},
		"several parts":              {map[string]string{"a.patch": strings.Replace(one, "Subject:", "Content-Type: multipart/mixed; boundary=x\nSubject:", 1)}, "has several parts (multipart/mixed): save the patch with git format-patch", 1},
		"flowed":                     {map[string]string{"a.patch": strings.Replace(one, "Subject:", "Content-Type: text/plain; format=flowed\nSubject:", 1)}, "format=flowed", 1},
		"Latin 1":                    {map[string]string{"a.patch": strings.Replace(one, "Subject:", "Content-Type: text/plain; charset=iso-8859-1\nSubject:", 1)}, "in iso-8859-1, not in UTF-8: save the patch with git format-patch", 1},
		"a name in Big5":             {map[string]string{"a.patch": strings.Replace(one, "Subject:", "X-Y: z\nFrom: =?big5?q?=A4=40?= <a@vcpulab.invalid>\nSubject:", 1)}, "is not in UTF-8", 1},
		"a name in bytes":            {map[string]string{"a.patch": strings.Replace(one, "Subject:", "X-Y: z\nFrom: \xe9 <a@vcpulab.invalid>\nSubject:", 1)}, "is not in UTF-8", 1},
		"hunk in the second mail":    {map[string]string{"a.mbox": one + strings.Replace(two, "@@ -1,2 +1,2", "@@ -1,4 +1,4", 1)}, "invalid line operation", 35},
		"a hunk header of nonsense":  {map[string]string{"a.patch": strings.Replace(one, "@@ -1,2", "@@ -x,2", 1)}, "invalid fragment header", 12},
		"a hunk beyond any file":     {map[string]string{"a.patch": strings.Replace(one, "@@ -1,2", "@@ -99999999999999999999,2", 1)}, "invalid fragment header", 12},
		"a header longer than sense": {map[string]string{"a.patch": "From: a <a@vcpulab.invalid>\n" + strings.Repeat("X: y\n", maxHeaderLines)}, "a header of more than", 1},
		"more mails than sense":      {map[string]string{"a.mbox": strings.Repeat(strings.SplitAfterN(one, "\n", 2)[0], MaxMails+1)}, "more than 2000 mails", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(dir)
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want a *FormatError with %q", err, test.want)
			}
			if fe.Line != test.line {
				t.Errorf("line %d, want %d: %v", fe.Line, test.line, err)
			}
			if exit.Code(err) != exit.PatchFailed {
				t.Errorf("exit code %d", exit.Code(err))
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, expected that the directory is missing", err)
	}
}

func TestSubject(t *testing.T) {
	tests := map[string]Patch{
		"KVM: No prefix":                       {Number: -1, Version: 1, Subject: "KVM: No prefix"},
		"[PATCH] KVM: One":                     {Number: -1, Version: 1, Subject: "KVM: One"},
		"[PATCH 03/10] KVM: Three":             {Number: 3, Total: 10, Version: 1, Subject: "KVM: Three"},
		"[PATCH v2 3/7] KVM: Three":            {Number: 3, Total: 7, Version: 2, Subject: "KVM: Three"},
		"[RFC PATCH V12 0/7] Cover":            {Number: 0, Total: 7, Version: 12, Subject: "Cover"},
		"Re: [kvm] [PATCH net-next 1/2] [x] y": {Number: 1, Total: 2, Version: 1, Subject: "y"},
		"[PATCH 3/7 unfinished":                {Number: -1, Version: 1, Subject: "[PATCH 3/7 unfinished"},
		"[PATCH 123456/7] too long":            {Number: -1, Version: 1, Subject: "too long"},
	}
	for subject, want := range tests {
		got := Patch{Subject: withoutPrefix(subject)}
		got.setNumbers(subject)
		if whole := strings.TrimSpace(got.prefix + " " + got.Subject); whole != subject {
			t.Errorf("%q: its parts make %q", subject, whole)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Patch{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", subject, diff)
		}
	}
}

func TestParseTrailers(t *testing.T) {
	tests := map[string]struct {
		message string
		want    []Trailer
	}{
		"none":             {"Why.\n", nil},
		"a paragraph":      {"Why.\n\nNote: this\nis no trailer.\n", nil},
		"with a note":      {"Why.\n\nSigned-off-by: a <a@b>\n[x: changed y]\nSigned-off-by: x <x@b>\n", []Trailer{{"Signed-off-by", "a <a@b>"}, {"Signed-off-by", "x <x@b>"}}},
		"folded":           {"Why.\n\nLink: https://example.invalid/\n https://example.invalid/2\n", []Trailer{{"Link", "https://example.invalid/ https://example.invalid/2"}}},
		"nothing but them": {"Signed-off-by: a <a@b>\n", []Trailer{{"Signed-off-by", "a <a@b>"}}},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, parseTrailers(test.message)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
