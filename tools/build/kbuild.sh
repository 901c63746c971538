# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# How Linux's makefiles are called, sourced by what does so with $build set.
#
# Objects and source are the same number of levels apart for each kernel, and
# nothing of the clock, the user or the directory goes in: what one kernel has
# compiled the next takes from ccache, also in another clone.

export CCACHE_BASEDIR="$build" CCACHE_NOHASHDIR=1
# The kernel maps its absolute path away; ccache has made it relative before
export CCACHE_IGNOREOPTIONS='-fmacro-prefix-map=*'
export KBUILD_BUILD_TIMESTAMP=1970-01-01
export KBUILD_BUILD_USER=builder KBUILD_BUILD_HOST=builder

arch=powerpc
compiler=powerpc64le-linux-gnu-

# kbuild SOURCE OBJECTS ARG...: for $arch with $compiler
kbuild() {
	kbuild_source=$1
	kbuild_objects=$2
	shift 2
	make -s -C "$kbuild_source" O="$kbuild_objects" ARCH=$arch \
		LOCALVERSION= CROSS_COMPILE=$compiler CC="ccache ${compiler}gcc" \
		KCPPFLAGS=-fmacro-prefix-map=../linux/= "$@"
}

# lost_options OBJECTS: lines of the fragments that do not stand in the result;
# "n" is absence there
lost_options() {
	sed -n 's/^\(CONFIG_[^=]*\)=\(.*\)/\1 \2/p' "$1/fragments" |
	while read -r option value; do
		if [ "$value" = n ]; then
			! grep -q "^$option=" "$1/.config"
		else
			grep -qxF "$option=$value" "$1/.config"
		fi || echo "$option=$value"
	done
}

# configure SOURCE OBJECTS RULE FRAGMENT...: RULE, allnoconfig or alldefconfig,
# says what an option is that no FRAGMENT mentions; sets $compiler
configure() {
	configure_source=$1
	configure_objects=$2
	configure_rule=$3
	shift 3
	mkdir -p "$configure_objects"
	for configure_file; do
		[ -r "$configure_file" ] || {
			echo "kbuild: $configure_file is missing" >&2
			return 1
		}
	done
	# A later fragment overrides an earlier one
	cat "$@" | sed 's/^# \(CONFIG_.*\) is not set$/\1=n/' |
		awk -F= '/^CONFIG_/ { value[$1] = $0 }
			END { for (o in value) print value[o] }' |
		sort >"$configure_objects/fragments"
	! grep -qx CONFIG_CPU_BIG_ENDIAN=y "$configure_objects/fragments" ||
		compiler=powerpc64-linux-gnu-
	kbuild "$configure_source" "$configure_objects" \
		KCONFIG_ALLCONFIG="$configure_objects/fragments" "$configure_rule"
}

# objects_of: from C and assembler files on stdin to their objects
objects_of() {
	sed 's/[cS]$/o/'
}

# goals_of: from objects on stdin to what is made for them. KVM's common part
# is made in the architecture's folder, and in no other way.
goals_of() {
	sed "s|^virt/kvm/.*|arch/$arch/kvm/|" | sort -u
}

# complaints SOURCE: of compilers and sparse on stdin, without line numbers, as
# the same complaint moves when a file is edited. Headers that mistake RCU's
# pointers do so in all files that include them.
complaints() {
	grep -E '(warning|[Ee]rror): ' |
		sed -E "s#^(\.\./linux/|$1/)##; s#:[0-9]+(:[0-9]+)?: #: #" |
		grep -v '^include/.*(different address spaces)$' |
		sort -u
}
