// SPDX-License-Identifier: GPL-2.0-only
//go:build ignore
/* The kernel's own xarray, a file of its own as it is in the kernel. */
#include "shared.h"

#include "lib/xarray.c"
