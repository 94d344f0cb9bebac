#!/bin/sh
# Makes deploy/live/: settings to fill in, and the databases' passwords. Run it as root, once; it overwrites nothing.
# Compose mounts secret files as they are: each must belong to the number its container runs as, with mode 0600.
set -eu
cd "$(dirname "$0")"
live="${1:-live}"
service=10001   # the user of every image made by our Dockerfile
postgres=999    # the user `postgres` in the official image on Debian
umask 077
mkdir -p "$live"
chmod 0755 "$live"

give() { chown "$2:$2" "$1"; chmod 0600 "$1"; }

for party in board issuer trustee1 trustee2 trustee3; do
    mkdir -p "$live/$party"
    chmod 0755 "$live/$party"
    settings="$live/$party/settings.toml"
    if [ ! -e "$settings" ]; then
        cp "${party%[123]}.toml" "$settings"
        chmod 0644 "$settings"
    fi
    [ ! -e "$live/$party/database-password" ] || continue
    password="$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')"
    printf '%s' "$password" > "$live/$party/database-password.postgres"
    printf '%s' "$password" > "$live/$party/database-password"
    give "$live/$party/database-password" "$service"
    give "$live/$party/database-password.postgres" "$postgres"
done
echo "$live is ready; now put in keys, manifest, policy and certificate: docs/operators.md"
