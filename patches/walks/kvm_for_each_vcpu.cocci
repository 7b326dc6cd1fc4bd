// SPDX-License-Identifier: GPL-2.0-only
//
// Drop the index from users of kvm_for_each_vcpu(), and the variable that held
// it where nothing else needs one:
//
//	kvm_for_each_vcpu(i, vcpu, kvm)  ->  kvm_for_each_vcpu(vcpu, kvm)
//
// A loop is left alone if its counter, anywhere in the function, is more than
// a counter of kvm_for_each_vcpu(): if it is read in the body, or after the
// loop.  Other loops that begin by giving it a value of their own don't count;
// then it stays declared.
//
// Generates: KVM: Drop the index from users of kvm_for_each_vcpu()
// Paths: virt/kvm arch/*/kvm
// Places: \bkvm_for_each_vcpu\([^,()]*,[^,()]*,
// Options: --no-includes

// Counters that do nothing but count vCPUs

@loop exists@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier f, i;
expression vcpu, kvm;
statement S;
position in, counter;
@@
f@in(...)
{
  ... when any
  kvm_for_each_vcpu(i@counter, vcpu, kvm) S
  ... when any
}

@used exists@
identifier loop.f, loop.i;
position loop.in, fn, use != loop.counter;
@@
f@in@fn(...)
{
  ... when any
  i@use
  ... when any
}

@pure exists@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier f, i;
expression vcpu, kvm;
statement S;
position at, fn != used.fn;
@@
f@fn(...)
{
  ... when any
  kvm_for_each_vcpu@at(i, vcpu, kvm) S
  ... when any
}

@convert@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier i;
expression vcpu, kvm;
statement S;
position pure.at;
@@
kvm_for_each_vcpu@at(
-                    i,
                     vcpu, kvm) S

@needed exists@
identifier pure.f, pure.i;
position fn;
@@
f@fn(...)
{
  ... when any
  i
  ... when any
}

@drop exists@
identifier pure.f, pure.i;
type T;
constant c;
position fn != needed.fn;
@@
f@fn(...)
{
  ... when any
(
- T i;
|
- T i = c;
)
  ... when any
}

// Counters that other loops use, too

@loop2 exists@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier f, i;
expression vcpu, kvm;
statement S;
position in, counter;
@@
f@in(...)
{
  ... when any
  kvm_for_each_vcpu(i@counter, vcpu, kvm) S
  ... when any
}

@count exists@
identifier loop2.f, loop2.i;
expression e1, e2;
binary operator op;
statement S;
position loop2.in, p1, p2, p3;
@@
f@in(...)
{
  ... when any
(
  for (i@p1 = e1; i@p2 op e2; i@p3++) S
|
  for (i@p1 = e1; i@p2 op e2; ++i@p3) S
)
  ... when any
}

@forbody exists@
identifier loop2.i;
expression e1, e2, e3;
position p;
@@
for (i = e1; e2; e3) {
  ... when any
  i@p
  ... when any
}

@bits exists@
iterator name for_each_set_bit;
identifier loop2.i;
statement S;
position p;
@@
for_each_set_bit(i@p, ...) S

@bitsbody exists@
iterator name for_each_set_bit;
identifier loop2.i;
position p;
@@
for_each_set_bit(i, ...) {
  ... when any
  i@p
  ... when any
}

@used2 exists@
identifier loop2.f, loop2.i;
position loop2.in, fn;
position use != {loop2.counter, count.p1, count.p2, count.p3, forbody.p,
                 bits.p, bitsbody.p};
@@
f@in@fn(...)
{
  ... when any
  i@use
  ... when any
}

@shared exists@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier f, i;
expression vcpu, kvm;
statement S;
position at, fn != used2.fn;
@@
f@fn(...)
{
  ... when any
  kvm_for_each_vcpu@at(i, vcpu, kvm) S
  ... when any
}

@convert2@
iterator name kvm_for_each_vcpu, list_for_each_entry;
identifier i;
expression vcpu, kvm;
statement S;
position shared.at;
@@
kvm_for_each_vcpu@at(
-                    i,
                     vcpu, kvm) S

// Of two counters in one function, one may be needed no more.

@needed2 exists@
identifier shared.f, shared.i;
position fn;
@@
f@fn(...)
{
  ... when any
  i
  ... when any
}

@drop2 exists@
identifier shared.f, shared.i;
type T;
constant c;
position fn != needed2.fn;
@@
f@fn(...)
{
  ... when any
(
- T i;
|
- T i = c;
)
  ... when any
}
