#!/bin/bash
# Builds the drop-ins as they are installed: static, so that no library that is missing or slow to load stands between
# qmail and an answer. Prints their paths. QMAIL_LOOKUP_QMAILHOME names qmail's home if it is not /var/qmail.
# --dynamic: for a system without a static C library.
set -euo pipefail
cd "$(dirname "$0")/../.."

static='-C target-feature=+crt-static'
[ "${1:-}" = --dynamic ] && static=
target=${CARGO_TARGET_DIR:-$PWD/target}
for source in bins/dropin/src/bin/*.rs; do
  name=$(basename "$source" .rs)
  # Flags of this one crate and not RUSTFLAGS, which would build everything anew and break procedural macros.
  # shellcheck disable=SC2086
  cargo rustc --locked --quiet --profile dropin -p qmail-lookup-dropin --bin "$name" -- $static
  echo "$target/dropin/$name"
done
