// SPDX-License-Identifier: GPL-2.0-only

// Package bench measures kernels: it boots each of them, has the guest run
// the measured loops and create vCPUs, and collects the samples.
//
// The unit of repetition is a boot. A round boots every kernel once and the
// baseline twice, in an order that is shuffled: what the two boots of the
// baseline differ by is the noise floor.
package bench
