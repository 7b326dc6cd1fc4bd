// SPDX-License-Identifier: GPL-2.0-only

// Package cocci makes patches of a series from semantic patches.
//
// A mechanical change of a hundred files is best reviewed as the rule that
// made it. Such a rule is a file *.cocci, in Coccinelle's language, beside the
// series. Its leading comment says which patch it generates, where it is run
// and what it is to get rid of:
//
//	// Generates: KVM: Drop the index from users of kvm_for_each_vcpu()
//	// Paths: virt/kvm arch/*/kvm
//	// Places: \bkvm_for_each_vcpu\([^,()]*,[^,()]*,
//	// Options: --no-includes
//
// Generates is the subject of the patch, so that another order of the series
// changes nothing. Paths are folders and files, with wildcards. Places is a
// regular expression for the C code, comments and strings aside, that the rule
// changes: the files that have one are those that spatch is run on, and a
// place that is there still afterwards is left over. Coccinelle passes over
// functions that it does not understand without a word, so that is the one
// proof that it has seen them all. Options are spatch's.
//
// [Rule.Run] runs a rule on a copy of the files, each file by itself, so that
// the result does not depend on how many are run at a time. It returns the
// change as git format-patch would write it. [Rule.Mail] puts it under the
// head and message of the patch that stands in the series.
package cocci
