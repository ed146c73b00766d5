#!/bin/sh
# Fetches libchdb, the ClickHouse engine, into the user's cache:
#
#   ${XDG_CACHE_HOME:-$HOME/.cache}/lastseen/engine/VERSION/
#
# npm downloads the package that package-lock.json pins and checks its
# integrity hash. The download goes to a temporary directory that is renamed
# when it is complete, so a directory of that name is always whole, whoever
# else fetches at the same time. When it is there, this does nothing.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
package=@chdb/lib-linux-x64-gnu
version=$(sed -n 's|^ *"'"$package"'": "\(.*\)".*|\1|p' "$here/package.json")
library=node_modules/$package/libchdb.so
expected_mb=543 # unpacked

fail() {
	printf 'engine: %s\n' "$1" >&2
	exit 1
}

[ -n "$version" ] || fail "$here/package.json names no version of $package: restore the file from the repository."

if [ -n "${CHDB_LIB_PATH:-}" ]; then
	printf 'engine: using CHDB_LIB_PATH=%s\n' "$CHDB_LIB_PATH"
	exit 0
fi
case "$(uname -s)/$(uname -m)" in
Linux/x86_64) ;;
*) fail "there is no ready-made engine for $(uname -s)/$(uname -m): install libchdb $version yourself and set CHDB_LIB_PATH to it." ;;
esac
[ -n "${XDG_CACHE_HOME:-}" ] || [ -n "${HOME:-}" ] ||
	fail 'neither HOME nor XDG_CACHE_HOME is set: set one, it is where the engine is kept.'

cache=${XDG_CACHE_HOME:-$HOME/.cache}/lastseen/engine
target=$cache/$version
[ ! -f "$target/$library" ] || exit 0

command -v npm >/dev/null 2>&1 ||
	fail "npm is missing: install it (Debian: apt-get install npm) or set CHDB_LIB_PATH to a libchdb $version."
mkdir -p "$cache" 2>/dev/null || fail "cannot write to $cache: set XDG_CACHE_HOME to a directory of yours."
free_mb=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
[ "$free_mb" -ge 1000 ] || fail "the engine needs 1000 MB while it is fetched, and $cache has $free_mb MB left: free some, or set XDG_CACHE_HOME."

work=$(mktemp -d "$cache/.fetch-XXXXXX") || fail "cannot write to $cache: set XDG_CACHE_HOME to a directory of yours."
npm_pid=
cleanup() {
	[ -z "$npm_pid" ] || kill "$npm_pid" 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cp "$here/package.json" "$here/package-lock.json" "$work/"
printf 'engine: fetching %s %s (about 180 MB) into %s\n' "$package" "$version" "$cache" >&2
(cd "$work" && exec npm ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error >npm.log 2>&1) &
npm_pid=$!

# npm writes the package under its final name, unpacked as it arrives.
seconds=0
while kill -0 "$npm_pid" 2>/dev/null; do
	sleep 1
	seconds=$((seconds + 1))
	mb=$(du -sm "$work" 2>/dev/null | cut -f1) || mb=0
	if [ -t 2 ]; then
		printf '\rengine: %d s, %d of %d MB unpacked' "$seconds" "${mb:-0}" "$expected_mb" >&2
	elif [ $((seconds % 5)) -eq 0 ]; then
		printf 'engine: %d s, %d of %d MB unpacked\n' "$seconds" "${mb:-0}" "$expected_mb" >&2
	fi
done
[ ! -t 2 ] || printf '\n' >&2
status=0
wait "$npm_pid" || status=$?
npm_pid=

if [ "$status" -ne 0 ] || [ ! -f "$work/$library" ]; then
	sed 's/^/engine: npm: /' "$work/npm.log" >&2
	if grep -q ENOSPC "$work/npm.log"; then
		fail "the disk that holds $cache is full: free 1000 MB, or set XDG_CACHE_HOME."
	elif grep -q EINTEGRITY "$work/npm.log"; then
		fail 'what was downloaded is not what package-lock.json pins: try again, and distrust the network if it happens twice.'
	elif grep -Eq 'ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|CERT|E50[0-9]' "$work/npm.log"; then
		fail "npm could not reach its registry: check the network and npm's configuration, then run this again."
	fi
	[ "$status" -ne 0 ] || fail "npm ci has brought no $library: restore $here/package-lock.json from the repository."
	fail "npm ci failed with status $status: see its messages above."
fi

rm -f "$work/npm.log"
if ! mv -T "$work" "$target" 2>/dev/null; then
	# Another fetch was first, or an incomplete directory is in the way.
	[ -f "$target/$library" ] || fail "$target is in the way and incomplete: remove it and run this again."
fi
printf 'engine: ready in %s\n' "$target" >&2
