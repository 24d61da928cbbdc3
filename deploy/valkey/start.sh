#!/bin/sh
# Valkey for dfd: a user for each part, from users.acl beside this, whose password is set: DFD_REDIS_PASSWORD_INGEST and so on
# (passwords.sh makes them). DFD_REDIS_PASSWORD: one user, dfd, for all parts. No file is ever written, since pixels are private.
# Files that wait are lost with it: where they must outlive it, give it a volume, and "--appendonly yes" as an argument.
set -euf
users=0
if [ -n "${DFD_REDIS_PASSWORD:-}" ]; then
  set -- --user dfd on ">${DFD_REDIS_PASSWORD}" resetkeys "~dfd:*" "~rq:*" resetchannels "&rq:*" \
    +@all -@admin -@dangerous +info +keys "$@"
  users=1
fi
while read -r _ name rules; do
  role=$(printf %s "${name#dfd-}" | tr '[:lower:]' '[:upper:]')
  password=$(printenv "DFD_REDIS_PASSWORD_$role" || true)
  if [ -n "$password" ]; then
    hash=$(printf %s "$password" | sha256sum | cut -d' ' -f1)
    # shellcheck disable=SC2046  a rule is a word
    set -- --user "$name" $(printf %s "$rules" | sed "s/SHA256_OF_$role/$hash/") "$@"
    users=1
  fi
done <"$(dirname "$0")/users.acl"
if [ "$users" = 0 ]; then
  echo "start.sh: set DFD_REDIS_PASSWORD_INGEST and those of the other parts (passwords.sh makes them)." >&2
  exit 2
fi
exec "${VALKEY:-valkey-server}" \
  --save "" --appendonly no \
  --maxmemory "${DFD_REDIS_MEMORY:-2gb}" --maxmemory-policy noeviction \
  --user default off "$@"
