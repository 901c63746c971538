# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# This machine's Debian release, and the repository from which its apt has that;
# sourced by what fetches packages.

codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
	'Origin: Debian' "Codename: $codename" 'Component: main' | head -n 1)
no_mirror="apt knows no repository of Debian $codename; run 'apt-get update'"
