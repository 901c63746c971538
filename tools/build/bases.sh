# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions that read series/bases and the folders of the patches. To be sourced with
# $project set.

# default_base
default_base() {
	awk '/^[^#]/ { print $1; exit }' "$project/series/bases"
}

# base_field BASE NUMBER: 2 is the package, 3 the suite, empty where this
# machine's release has it
base_field() {
	awk -v base="$1" -v field="$2" '$1 == base { print $field }' \
		"$project/series/bases"
}

# for_base FOLDER BASE: does the patch in FOLDER belong to the series for BASE?
for_base() {
	[ ! -e "$1/bases" ] || grep -qx "$2" "$1/bases"
}

# patch_folders: those of the patches for any base, in order
patch_folders() {
	for folder in "$project"/series/[0-9]*/; do
		[ ! -d "$folder" ] || echo "${folder%/}"
	done
}

# folders_for BASE: its patches' folders, in order
folders_for() {
	for folder in $(patch_folders); do
		! for_base "$folder" "$1" || echo "$folder"
	done
}

# build_of BASE BUILD FROM: where BASE is built, given that FROM is in BUILD
build_of() {
	top=$2
	[ "$3" = "$(default_base)" ] || top=${2%/*}
	[ "$1" = "$(default_base)" ] && echo "$top" || echo "$top/$1"
}

# parts FOLDER KIND BASE: the files of a KIND (new, removed, edits.diff) that
# FOLDER has, what is common first
parts() {
	case $2 in
	edits.diff) set -- "$1" edits "$3" .diff ;;
	*) set -- "$1" "$2" "$3" "" ;;
	esac
	for part in "$1/$2$4" "$1/$2-$3$4"; do
		[ ! -e "$part" ] || echo "$part"
	done
}

# source_tar PACKAGE BUILD: the archive with the source of PACKAGE, and its
# version, fetched or else installed
source_tar() {
	if [ -e "$2/source/$1.version" ]; then
		echo "$2/source/$1.tar.xz $(cat "$2/source/$1.version")"
	else
		echo "/usr/src/$1.tar.xz $(dpkg-query -W -f '${Version}' "$1" \
			2>/dev/null)"
	fi
}
