#!/bin/bash
# Builds the drop-ins as they are installed: static, so that no library that is missing or slow to load stands between
# qmail and an answer. Prints their paths. QMAIL_LOOKUP_QMAILHOME names qmail's home if it is not /var/qmail.
# --dynamic: for a system without a static C library. --examples: the examples too, for benchmarks and tests.
set -euo pipefail
cd "$(dirname "$0")/../.."

static='-C target-feature=+crt-static'
sources=(bins/dropin/src/bin/*.rs)
for option in "$@"; do
  case $option in
    --dynamic) static= ;;
    --examples) sources+=(bins/dropin/examples/*.rs) ;;
    *) echo "build.sh: unknown option $option" >&2; exit 1 ;;
  esac
done
target=${CARGO_TARGET_DIR:-$PWD/target}
for source in "${sources[@]}"; do
  name=$(basename "$source" .rs)
  kind=bin folder=$target/dropin
  case $source in */examples/*) kind=example folder=$folder/examples ;; esac
  # Flags of this one crate and not RUSTFLAGS, which would build everything anew and break procedural macros.
  # shellcheck disable=SC2086
  cargo rustc --locked --quiet --profile dropin -p qmail-lookup-dropin "--$kind" "$name" -- $static
  echo "$folder/$name"
done
