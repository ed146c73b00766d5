#!/usr/bin/env bash
# Installs what the load suite compares with from Debian's packages: redis-server and PostgreSQL.
# What cannot be installed is left out of the comparison, so this never fails.
set -uo pipefail

missing=()
command -v redis-server >/dev/null || missing+=(redis-server)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "bench: ${missing[*]} not installed, and this is no Debian: the comparison goes without" >&2
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "bench: ${missing[*]} not installed; for the whole comparison run: sudo apt-get install ${missing[*]}" >&2
    exit 0
  fi
  as_root=(sudo -n)
fi
# The suite starts its own servers: the packages' services stay off.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null && "${as_root[@]}" chmod +x "$policy" && made_policy=1
fi
echo "bench: installing ${missing[*]}" >&2
if ! { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
  echo "bench: could not install ${missing[*]}: the comparison goes without" >&2
fi
[ -n "$made_policy" ] && "${as_root[@]}" rm -f "$policy"
exit 0
