#!/bin/sh
# A password for each user of users.acl, as variables: deploy/valkey/passwords.sh > deploy/.env (compose), or > .../secret.env.
set -eu
sed -n 's/^user dfd-\([a-z]*\) .*/\1/p' "$(dirname "$0")/users.acl" | tr '[:lower:]' '[:upper:]' | while read -r role; do
  printf 'DFD_REDIS_PASSWORD_%s=%s\n' "$role" "$(openssl rand -hex 16)"
done
