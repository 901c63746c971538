#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What boot promises about output and exit status, with the kernel VMLINUX on
# MACHINE.

cd "$(dirname "$0")" || exit 1
. ./tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# boots STATUS ARG...: boot ends with STATUS; its output is in $dir
boots() {
	want=$1
	shift
	../boot -m "$MACHINE" -k "$VMLINUX" -l "$dir/log" "$@" \
		>"$dir/out" 2>"$dir/err"
	got=$?
	cat "$dir/err"
	[ $got = "$want" ]
}

# One boot shows several promises: bytes pass as they are; kernel messages in
# between, and what only looks like a splat, do no harm; files are added.
speaks() {
	mkdir -p "$dir/a/b"
	printf 'one\r\n\n\036two\\ \tthree' >"$dir/a/b/c"
	printf '#!/bin/sh\nfor i in 1 2 3; do echo "<3>kernel $i" >/dev/kmsg
		cat /x/b/c; done; echo "WARNING: Oops: BUG: $1"; exit 7\n' \
		>"$dir/script"
	chmod 755 "$dir/script"
	boots 7 -a "$dir/a:/x" -a "$dir/script" -- /script 'a  "b"'
}

passes_bytes() {
	cat "$dir/a/b/c" "$dir/a/b/c" "$dir/a/b/c" >"$dir/expected"
	echo 'WARNING: Oops: BUG: a  "b"' >>"$dir/expected"
	cmp "$dir/expected" "$dir/out"
}

logs_kernel() {
	[ "$(grep -ac 'kernel [123]$' "$dir/log")" = 3 ]
}

warns() {
	boots 126 -- sh -c \
		'echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; exit 0' &&
	grep -q 'WARNING: .*lkdtm_WARNING' "$dir/err"
}

# More messages at a time than are read
warns_late() {
	boots 126 -- sh -c 'for i in $(seq 60); do echo t >/proc/sysrq-trigger; done
		echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT' &&
	grep -q 'WARNING: .*lkdtm_WARNING' "$dir/err"
}

dies() {
	boots 126 -- sh -c 'echo c >/proc/sysrq-trigger; sleep 60'
}

# As when this machine runs out of memory
loses_the_emulator() {
	: >"$dir/out"
	boots 126 -q "-pidfile $dir/pid" -- sh -c 'echo up; sleep 100' &
	for _ in $(seq 100); do
		! grep -q up "$dir/out" || break
		sleep 1
	done
	kill -KILL "$(cat "$dir/pid")"
	wait $! && grep -q 'emulator died: Killed' "$dir/err"
}

# Its signal ends boot, and with it the emulator
is_ended() {
	: >"$dir/out"
	../boot -m "$MACHINE" -k "$VMLINUX" -l "$dir/log" \
		-q "-pidfile $dir/ended" -- sh -c 'echo up; sleep 100' \
		>"$dir/out" 2>&1 &
	boot=$!
	for _ in $(seq 100); do
		! grep -q up "$dir/out" || break
		sleep 1
	done
	emulator=$(cat "$dir/ended") && kill "$boot"
	wait "$boot"
	status=$?
	echo "status $status"
	[ $status = 143 ] && ! kill -0 "$emulator"
}

# What is shown says where it hangs
is_late() {
	boots 124 -t 10 -- sh -c \
		'echo HUNG_TASK >/sys/kernel/debug/provoke-crash/DIRECT' &&
	grep -q 'lkdtm_HUNG_TASK' "$dir/err"
}

hangs() {
	boots 125 -f 2 -q -S -- true &&
	[ "$(grep -c 'firmware started no kernel' "$dir/err")" = 4 ]
}

leaky=$(dirname "$(readlink -f "$VMLINUX")")/samples/kmemleak/kmemleak-test.ko

leaks() {
	boots 126 -K -a "$leaky" -- insmod "/$(basename "$leaky")" &&
	grep -q 'unreferenced object' "$dir/log"
}

check "a command's exit status is boot's" speaks
check "its output passes byte by byte" passes_bytes
check "the kernel's messages are in the log" logs_kernel
check "a WARNING is 126 though the command succeeds" warns
check "a WARNING behind many messages is 126" warns_late
check "a panic is 126" dies
check "an emulator that dies is 126" loses_the_emulator
check "one that is ended takes its emulator along" is_ended
if [ -e "$leaky" ]; then
	check "a memory leak is 126" leaks
else
	skip "a memory leak is 126" "a kernel without kmemleak"
fi
check "a time-out is 124, and where it hangs is shown" is_late
check "no such init is 125" boots 125 -c rdinit=/nothing -- true
check "no kernel is 125" boots 125 -f 5 -k "$0" -- true
check "firmware that hangs is switched on four times, then 125" hangs
check "no such machine is 125" boots 125 -m powernv7 -- true
tap_end
