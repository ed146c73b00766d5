#!/usr/bin/env bash
# Tries a release: it is built twice, in different places, and compared; then it is installed into a bare Debian (debootstrap),
# run as the service's user, written to, upgraded while it runs, downgraded, removed and purged, from the .deb, and run from the
# tarball and the .rpm. No systemd runs in the chroot: the unit's ExecStart is run by hand, and systemd-analyze reads the units. At
# last systemd is booted there (systemd-nspawn), and all is done again by it, with requests all the while: test-systemd.sh.
# As root on Debian; what it needs is installed. How long it takes is in docs/install.md.
#
#   cmd/packaging/test.sh      RELEASE=DIR takes what release.sh has left there, NEXT=DIR a package of version 99.0.0, DEBIAN=DIR a
#                          bare Debian
set -euo pipefail
cd "$(dirname "$0")/../.."
. cmd/packaging/test-lib.sh

first=${RELEASE:-$work/first}
[ -n "${RELEASE:-}" ] || build_twice
this=$(ls "$first"/*_linux_amd64.deb)
[ -n "${NEXT:-}" ] || VERSION=99.0.0 ARCHES=amd64 KINDS=deb cmd/packaging/release.sh "$work/next"
next=${NEXT:-$work/next}/lastseen_99.0.0_linux_amd64.deb

say "a bare Debian"
bare_debian
check_units

say "install and run"
in_root dpkg -i /tmp/this.deb
start
expect "$(version_that_runs)" "$(basename "$this" | cut -d_ -f2)"
push 1
expect "$(latest)" 1

say "upgrade while it runs"
in_root dpkg -i /tmp/next.deb >"$work/log" 2>&1
grep -q 'still the version from before: restart it' "$work/log" || fail "the upgrade does not say what runs: $(cat "$work/log")"
push 2
expect "$(latest)" 2
stop
start
expect "$(version_that_runs)" 99.0.0
expect "$(latest)" 2
push 3
stop

say "downgrade, with the same schema and with a newer one"
in_root dpkg -i /tmp/this.deb
start
expect "$(latest)" 3
stop
schema_version 1000
start_fails 'the database is at schema version 1000 and this binary knows only'
schema_version 0
start
expect "$(latest)" 3
stop

say "no room for the program"
no_room

say "remove and purge"
in_root dpkg -r lastseen
[ ! -e "$root/usr/bin/lastseen" ] || fail "the program is there after a removal"
in_root dpkg -P lastseen >"$work/log" 2>&1
grep -q 'the data stay in /var/lib/lastseen' "$work/log" || fail "the purge does not say where the data are: $(cat "$work/log")"
[ ! -e "$root/etc/lastseen" ] || fail "a purge leaves /etc/lastseen"
[ -d "$root/var/lib/lastseen/clickhouse" ] || fail "a purge took the data"

say "the steps of the Containerfile"
container_steps
start
expect "$(latest)" 3
stop
in_root dpkg -P lastseen >/dev/null 2>&1

say "the .rpm"
install_rpm "$first"/*_linux_amd64.rpm
start
expect "$(latest)" 3
stop

say "the tarball, by a user without a home directory"
tarball_runs "$first"/*_linux_amd64.tar.gz

say "under systemd"
under_systemd
say "all is well"
