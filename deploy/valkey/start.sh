#!/bin/sh
# Valkey for dfd: one user, who may touch dfd's and RQ's keys only; no file is ever written, since pixels are private.
# Files that wait are lost with it: where they must outlive it, give it a volume, and "--appendonly yes" as an argument.
set -eu
: "${DFD_REDIS_PASSWORD:?set DFD_REDIS_PASSWORD, of letters and digits}"
exec "${VALKEY:-valkey-server}" \
  --save "" --appendonly no \
  --maxmemory "${DFD_REDIS_MEMORY:-2gb}" --maxmemory-policy noeviction \
  --user default off \
  --user dfd on ">${DFD_REDIS_PASSWORD}" resetkeys "~dfd:*" "~rq:*" resetchannels "&rq:*" \
  +@all -@admin -@dangerous +info +keys \
  "$@"
