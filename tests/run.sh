#!/bin/bash
# Builds everything and runs every test: bash tests/run.sh [FILTER]
# As root on Debian or Ubuntu it installs the packages that are missing, without starting any service; otherwise it
# says what to install. Test servers are private to the run and live below the temporary folder.
# CI=true or QL_REQUIRE=all makes a store, or strace, that cannot be used a failure instead of an ignored test.
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
PATH=$PATH:/usr/sbin:/sbin
export PATH

say() { echo "tests/run.sh: $*" >&2; }

# PROGRAM:PACKAGE
needed='mariadbd:mariadb-server-core mariadb-install-db:mariadb-server-core mariadb:mariadb-client-core
  mariadb-admin:mariadb-client slapd:slapd ldapsearch:ldap-utils ldapadd:ldap-utils openssl:openssl mkpasswd:whois
  cc:gcc setpriv:util-linux dovecot:dovecot-core doveadm:dovecot-core postmap:postfix cvm-testclient:cvm
  smtpfront-qmail:mailfront tcpserver:ucspi-tcp softlimit:daemontools mandoc:mandoc systemd-analyze:systemd strace:strace'

missing_packages() {
  local pair found=
  for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null 2>&1 && continue
    case " $found " in *" ${pair#*:} "*) ;; *) found="$found ${pair#*:}" ;; esac
  done
  # Where slapd does not bring {ARGON2} and {SSHA512} itself, this does.
  case " $found " in *" slapd "*) found="$found slapd-contrib" ;; esac
  [ -x /usr/lib/dovecot/pop3 ] || found="$found dovecot-pop3d"
  # A compiler without the C library's headers and static parts cannot link.
  [ -e /usr/include/stdio.h ] || found="$found libc6-dev"
  echo "$found"
}

# Debian starts what it installs unless this program says no.
policy=/usr/sbin/policy-rc.d
made_policy=
no_services() {
  [ -e "$policy" ] && return 0
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  made_policy=1
}
services_again() { if [ -n "$made_policy" ]; then rm -f "$policy"; made_policy=; fi; }

install_packages() {
  local apt='apt-get -q -y --no-remove -o DPkg::Lock::Timeout=300'
  trap services_again EXIT
  no_services
  export DEBIAN_FRONTEND=noninteractive
  # No directory in /var/lib/ldap either.
  command -v debconf-set-selections >/dev/null 2>&1 &&
    printf '%s\n' 'slapd slapd/no_configuration boolean true' \
      'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections || true
  # shellcheck disable=SC2086
  $apt install --no-install-recommends "$@" || { $apt update && $apt install --no-install-recommends "$@"; }
  services_again
  trap - EXIT
}

packages=$(missing_packages)
if [ -n "$packages" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing$packages"
    # shellcheck disable=SC2086
    install_packages $packages || say "apt-get could not install$packages; what needs them is not tested"
  else
    say "not installed:$packages (Debian's names). Install them, or what needs them is not tested."
  fi
fi
if ! command -v cc >/dev/null 2>&1; then
  say "there is no C compiler (cc): SQLite and the linker need one"
  exit 1
fi
if ! command -v cargo >/dev/null 2>&1; then
  say "there is no cargo; install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later"
  exit 1
fi

# In this order the second step builds nothing again: built alone, the programs get other features of shared crates.
say "building"
cargo build --workspace --bins --tests --locked || { say "the build failed"; exit 1; }
bash bins/dropin/build.sh --examples || { say "the build of the static drop-ins failed"; exit 1; }
say "testing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --workspace --locked --no-fail-fast -- "$@" 2>&1 | tee "$log" || status=$?
# One line for all test programs together.
awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
if [ "$status" = 0 ]; then say "all tests passed"; else say "some tests failed"; fi
exit "$status"
