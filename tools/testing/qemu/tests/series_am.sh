#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The patches as mailed make, on the pristine base, the tree that is built; and
# weaving takes no hunk that does not fit.

cd "$(dirname "$0")" || exit 1
. ./tap.sh
project=$(cd ../../../.. && pwd)
linux=${B:=$project/build}/linux

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

tree_of() {
	git -C "$1" rev-parse "$2^{tree}"
}

# Only the index: nothing of the tree needs to be written out.
apply_mails() {
	"$project/tools/build/series" "$B" "$dir/series" &&
	git clone -qsn "$linux" "$dir/linux" &&
	git -C "$dir/linux" config core.sparseCheckout true &&
	git -C "$dir/linux" config user.name tester &&
	git -C "$dir/linux" config user.email tester@localhost &&
	echo /COPYING >"$dir/linux/.git/info/sparse-checkout" &&
	git -C "$dir/linux" checkout -q --detach base &&
	rm "$dir"/series/*/0000-*.patch &&
	awk '/^[^#]/ { print $1 }' "$project/series/mailings" |
	while read -r mailing; do
		# Not every base has patches for it
		[ -d "$dir/series/$mailing" ] || continue
		git -C "$dir/linux" am -q "$dir/series/$mailing"/*.patch ||
			return 1
	done
}

same_tree() {
	made=$(tree_of "$dir/linux" HEAD) &&
	[ "$made" = "$(tree_of "$linux" HEAD)" ]
}

# A project of one patch, whose hunk has $1 for a line of context
scratch() {
	rm -rf "$dir/project" "$dir/build"
	mkdir -p "$dir/project/tools/build" "$dir/project/series/0001-edit" \
		"$dir/build"
	cp "$project"/tools/build/weave "$project"/tools/build/bases.sh \
		"$dir/project/tools/build/"
	cp "$project/series/bases" "$dir/project/series/"
	printf 'README: edit\n\nSigned-off-by: A <a@localhost>\n' \
		>"$dir/project/series/0001-edit/message"
	git -C "$linux" show base:README >"$dir/README"
	{
		printf -- '--- a/README\n+++ b/README\n@@ -1,4 +1,5 @@\n'
		sed -n '1p' "$dir/README" | sed "s/^/ /;$1"
		printf '+An edit.\n'
		sed -n '2,4p' "$dir/README" | sed 's/^/ /'
	} >"$dir/project/series/0001-edit/edits.diff"
	git clone -qsn "$linux" "$dir/build/linux"
	git -C "$dir/build/linux" update-ref --no-deref HEAD base
	git -C "$dir/build/linux" update-ref refs/weave/last base
	git -C "$dir/build/linux" read-tree base
	[ ! -d "$B/source" ] || ln -sfn "$B/source" "$dir/build/source"
}

weave() {
	"$dir/project/tools/build/weave" "$dir/build" 2>&1
}

fits() {
	scratch ''
	weave
	git -C "$dir/build/linux" show refs/weave/last:README |
		grep -q 'An edit'
}

needs_fuzz() {
	scratch 's/Linux/Minix/'
	! weave >"$dir/out" && cat "$dir/out" &&
	grep -q '0001-edit/edits.diff does not apply' "$dir/out" &&
	[ "$(git -C "$dir/build/linux" rev-parse HEAD)" = \
	  "$(git -C "$linux" rev-parse base)" ]
}

check "git am takes every mail" apply_mails
check "and makes the tree that is built" same_tree
check "weaving takes a hunk that fits" fits
check "weaving refuses one that needs fuzz" needs_fuzz
tap_end
