#!/bin/sh
# Copies what was built to where the units, run scripts and documents expect it: sh dist/install.sh
# DESTDIR=/tmp/package sh dist/install.sh copies it below that folder instead, for a package; then it needs not be root.
# It may be run again, also over programs that run. It makes no users, starts nothing and touches neither qmail nor
# /etc; docs/installation.md goes on from here.
# BUILT names the folder of the build (default: target), PROFILE the part of it (default: release).
set -eu
umask 022
cd "$(dirname "$0")/.."

built=${BUILT:-${CARGO_TARGET_DIR:-target}}
profile=${PROFILE:-release}
root=${DESTDIR:-}
case $root in '' | /*) ;; *) echo "install.sh: DESTDIR must begin with a slash" >&2; exit 100 ;; esac

programs='qmail-lookup qmail-lookupd'
dropins='qmail-getpw qmail-local checkpassword dovecot-checkpassword qmail-rcptcheck'
for name in $programs; do
  [ -f "$built/$profile/$name" ] && continue
  echo "install.sh: no $built/$profile/$name: cargo build --release -p qmail-lookup -p qmail-lookupd" >&2
  exit 1
done
for name in $dropins; do
  [ -f "$built/dropin/$name" ] && continue
  echo "install.sh: no $built/dropin/$name: bash bins/dropin/build.sh" >&2
  exit 1
done

# put_as MODE FILE PATH: what is at PATH is whole at every moment, the old file or the new one.
put_as() {
  path=$root$3
  mkdir -p "${path%/*}"
  cp "$2" "$path.new"
  chmod "$1" "$path.new"
  mv -f "$path.new" "$path"
  echo "$path"
}

# put MODE FOLDER FILE...
put() {
  mode=$1 folder=$2
  shift 2
  for file in "$@"; do put_as "$mode" "$file" "$folder/${file##*/}"; done
}

for name in $programs; do put 0755 /usr/sbin "$built/$profile/$name"; done
for name in $dropins; do put 0755 /usr/lib/qmail-lookup "$built/dropin/$name"; done
put 0644 /usr/share/man/man8 docs/man/*.8
put 0644 /usr/share/man/man5 docs/man/*.5
put 0644 /usr/lib/systemd/system dist/systemd/qmail-lookup*.service dist/systemd/qmail-lookup*.socket
put_as 0644 dist/systemd/tmpfiles.conf /usr/lib/tmpfiles.d/qmail-lookup.conf
for service in dist/daemontools/*; do
  for script in run log/run; do
    put_as 0755 "$service/$script" "/usr/share/qmail-lookup/daemontools/${service##*/}/$script"
  done
done
doc=/usr/share/doc/qmail-lookup
put 0644 $doc README.md CHANGELOG.md SECURITY.md LICENSE-* config/qmail-lookup.example.toml
put 0644 $doc/docs docs/*.md
put 0644 $doc/docs/adr docs/adr/*.md
put 0644 $doc/examples dist/systemd/password.conf dist/dovecot/* dist/postfix/*
put 0755 $doc/examples dist/mailfront/*
