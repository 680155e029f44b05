#!/bin/sh
# Makes a tree of unpacked packages with a real MySQL 9 for QL_TEST_MYSQL9; only tests of that name use it.
# usage: tests/fetch-mysql9.sh DIR [SUITE]       (DIR empty or not there yet; SUITE is sid unless told otherwise)
# Debian and any user: apt keeps its whole state in a folder of its own, nothing is installed or configured.
set -eu
tree=${1:?usage: $0 DIR [SUITE]} suite=${2:-sid}
state=$(mktemp -d) && trap 'rm -rf "$state"' EXIT INT TERM
mkdir -p "$tree" "$state/lists/partial" "$state/archives/partial" "$state/parts"
[ -z "$(ls -A "$tree")" ] || { echo "$0: $tree is not empty" >&2; exit 2; }
tree=$(cd "$tree" && pwd)
# The mirror that this system uses: the one with the distribution's main archive.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
  sed -n 's/ Debian Debian$//p' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] ${mirror:?no Debian mirror is known: run apt-get update} $suite main" >"$state/sources.list"
: >"$state/status"
quietly() { "$@" >"$state/log" 2>&1 || { tail -n 20 "$state/log" >&2; exit 1; }; }
apt() {
  quietly apt-get -q -y -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/parts" \
    -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::Archives="$state/archives" -o APT::Sandbox::User= -o Debug::NoLocking=1 \
    -o Acquire::Languages=none -o APT::Install-Recommends=0 "$@"
}
apt update
apt --download-only install mysql-server-core
for package in "$state"/archives/*.deb; do quietly dpkg -x "$package" "$tree"; done
set -- "$tree"/usr/lib/*-linux-gnu*/ld-linux-*.so.*
"$1" --library-path "${1%/*}" "$tree/usr/sbin/mysqld" --version
