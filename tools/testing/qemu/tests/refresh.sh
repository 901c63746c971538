#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What is changed in the woven tree comes back to series/ whole, and to the
# patch that it belongs to.

cd "$(dirname "$0")" || exit 1
. ./tap.sh
project=$(cd ../../../.. && pwd)
linux=${B:=$project/build}/linux
export BASE="${BASE:-$(awk '/^[^#]/ { print $1; exit }' \
	"$project/series/bases")}"
base=$BASE

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# A project of two patches and their tree: an edit, then a file
prepare() {
	mkdir -p "$dir/p/tools" "$dir/p/series/0010-edit" \
		"$dir/p/series/0020-file" "$dir/build"
	cp -r "$project/tools/build" "$dir/p/tools/"
	cp "$project/series/bases" "$dir/p/series/"
	[ ! -d "$B/source" ] || ln -s "$B/source" "$dir/build/source"
	printf 'README: edit\n\nWhy.\n\nSigned-off-by: A <a@localhost>\n' \
		>"$dir/p/series/0010-edit/message"
	printf 'lib: file\n\nWhy.\n\nSigned-off-by: A <a@localhost>\n' \
		>"$dir/p/series/0020-file/message"
	echo lib/file.c >"$dir/p/series/0020-file/new"
	mkdir "$dir/p/lib"
	echo 'int file;' >"$dir/p/lib/file.c"
	git init -q "$dir/p"

	git clone -qsn "$linux" "$dir/build/linux"
	cd "$dir/build/linux" || return 1
	git config user.name tester
	git config user.email tester@localhost
	git config core.sparseCheckout true
	printf '/README\n/COPYING\n/lib/file*\n/lib/Makefile\n' >.git/info/sparse-checkout
	git checkout -q --detach base
	git update-ref refs/weave/last HEAD
	echo edited >>README
	git diff --abbrev=12 >"$dir/p/series/0010-edit/edits.diff"
	git checkout -q README
	weave
}

weave() {
	"$dir/p/tools/build/weave" "$dir/build"
}

refresh() {
	"$dir/p/tools/build/refresh" "$dir/build" "$@"
}

in_linux() {
	git -C "$dir/build/linux" "$@"
}

# The project, as one hash, all of it
state() {
	git -C "$dir/p" add -A
	git -C "$dir/p" write-tree
}

no_change() {
	before=$(state)
	refresh &&
	[ "$(state)" = "$before" ]
}

edit_to_last() {
	echo 'obj-y += file.o' >>"$dir/build/linux/lib/Makefile"
	echo 'int more;' >>"$dir/build/linux/lib/file.c"
	echo 'int third;' >"$dir/build/linux/lib/file3.c"
	refresh &&
	grep -q '^+obj-y += file.o' "$dir/p/series/0020-file/edits.diff" &&
	grep -q 'int more' "$dir/p/lib/file.c" &&
	grep -q 'int third' "$dir/p/lib/file3.c" &&
	grep -qx lib/file3.c "$dir/p/series/0020-file/new" &&
	! grep -q Makefile "$dir/p/series/0010-edit/edits.diff"
}

edit_to_first() {
	echo copied >>"$dir/build/linux/COPYING"
	refresh 0010-edit &&
	grep -q '^+copied' "$dir/p/series/0010-edit/edits.diff" &&
	grep -q '^+edited' "$dir/p/series/0010-edit/edits.diff" &&
	! grep -q COPYING "$dir/p/series/0020-file/edits.diff"
}

removal() {
	in_linux rm -q README
	refresh 0010-edit &&
	[ "$(cat "$dir/p/series/0010-edit/removed")" = README ] &&
	! grep -q README "$dir/p/series/0010-edit/edits.diff"
}

commit_to_folder() {
	echo again >>"$dir/build/linux/COPYING"
	in_linux commit -qam 'COPYING: again

Signed-off-by: A <a@localhost>'
	! weave && refresh &&
	grep -q '^+again' "$dir/p/series/0021-copying-again/edits.diff"
}

growing() {
	echo 'int late;' >>"$dir/build/linux/lib/file.c"
	refresh 0021-copying-again &&
	grep -q '^+int late' "$dir/p/series/0021-copying-again/edits.diff" &&
	grep -q 'int late' "$dir/p/lib/file.c" &&
	! in_linux show HEAD^:lib/file.c | grep -q 'int late'
}

# What is for this base alone stays so, also when it is edited again
own() {
	echo own >>"$dir/build/linux/COPYING"
	OWN=1 refresh 0021-copying-again &&
	grep -q '^+own' "$dir/p/series/0021-copying-again/edits-$base.diff" &&
	echo more >>"$dir/build/linux/COPYING" &&
	refresh 0021-copying-again &&
	grep -q '^+more' "$dir/p/series/0021-copying-again/edits-$base.diff" &&
	! grep -q '^+own' "$dir/p/series/0021-copying-again/edits.diff"
}

# A tree of another base, with edits or a commit, stays
new_base() {
	kept=$(in_linux rev-parse base)
	in_linux tag -f base "$(in_linux commit-tree -m old 'base^{tree}')"
	echo kept >>"$dir/build/linux/COPYING"
	! weave && grep -qx kept "$dir/build/linux/COPYING" || return
	in_linux commit -qam kept
	! weave && grep -qx kept "$dir/build/linux/COPYING" || return
	in_linux reset -q --hard refs/weave/last
	in_linux tag -f base "$kept"
}

check "two patches are woven" prepare
check "without a change nothing changes" no_change
check "edits go to the last patch" edit_to_last
check "or to the one that is named" edit_to_first
check "a removed file is listed" removal
check "a commit becomes a patch, and is not woven over" commit_to_folder
check "with that patch the same comes out again" no_change
check "a file that a patch adds may grow by another" growing
check "with what grew the same comes out again" no_change
check "an edit can be for one base alone" own
check "with that edit the same comes out again" no_change
check "a new base takes no edits and no commits away" new_base
tap_end
