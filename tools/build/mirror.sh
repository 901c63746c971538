# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Sets $codename, this machine's Debian release, and $mirror, the repository from
# which its apt gets that release, and has apt-get use other suites of it. To be
# sourced.

codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' "Codename: $codename" 'Component: main' | head -n 1)
no_mirror="apt knows no repository of Debian $codename; run 'apt-get update'"

# own_apt DIR LINE...: has apt-get know nothing but these lines of a sources.list.
# Its lists and cache lie in DIR, so that the machine's stay as they are.
own_apt() {
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	# _apt, as which apt fetches, may not reach DIR
	cat >"$1/apt.conf" <<END
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$1/lists";
Dir::Cache "$1/cache";
APT::Sandbox::User "root";
END
	export APT_CONFIG="$1/apt.conf"
	own_apt=$1
	shift
	printf '%s\n' "$@" >"$own_apt/sources.list"
}
