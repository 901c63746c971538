# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Sets $codename, this machine's Debian release, and $mirror, the repository from
# which its apt gets that release. To be sourced.

codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' "Codename: $codename" 'Component: main' | head -n 1)
no_mirror="apt knows no repository of Debian $codename; run 'apt-get update'"
