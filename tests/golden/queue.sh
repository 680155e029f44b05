#!/bin/sh
# Stands in for qmail-queue: keeps what it is given in the first free folder of $QQ_DIR/1, $QQ_DIR/2 and so on.
# QQ_NOREAD: message and envelope stay unread. QQ_ERR: text for descriptor 6. QQ_KILL: dies by a signal. QQ_EXIT: status.
run=1
until mkdir "$QQ_DIR/$run" 2>/dev/null; do
  run=$((run + 1))
  if [ "$run" -gt 40 ]; then exit 53; fi
done
folder=$QQ_DIR/$run
pwd -P >"$folder/cwd"
if [ -z "$QQ_NOREAD" ]; then
  cat <&0 >"$folder/mess"
  cat <&1 >"$folder/env"
fi
if [ -n "$QQ_ERR" ]; then
  { printf '%s' "$QQ_ERR" >&6; } 2>/dev/null
fi
if [ -n "$QQ_KILL" ]; then kill -KILL $$; fi
exit "${QQ_EXIT:-0}"
