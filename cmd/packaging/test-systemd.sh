#!/bin/bash
# What test.sh has a systemd do that it has booted: the package is installed, the service runs in its whole sandbox, is restarted,
# killed and upgraded while requests come, backs up, is downgraded and removed. In /packages lie this.deb and next.deb, which is of
# version 99.0.0.
set -euo pipefail

fail() {
	printf 'test-systemd: %s\n' "$1" >&2
	journalctl -u lastseen -n 20 --no-pager -o cat >&2 || :
	exit 1
}
expect() { [ "$1" = "$2" ] || fail "got '$1', want '$2'"; }
eventually() { # COMMAND...
	local i
	for i in $(seq 600); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "not within a minute: $*"
}

base=http://127.0.0.1:8080
api=$base/tracking
as_user() { setpriv --reuid=lastseen --regid=lastseen --clear-groups "$@"; }
token() { as_user lastseen token --config /etc/lastseen/lastseen.toml --org org_release --user user_release --role owner; }
ask() { curl -sSf --max-time 60 -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "$@"; }
ready() { curl -sf --max-time 60 $base/readyz; }
main_pid() { systemctl show -p MainPID --value lastseen.service; }

push() { # LATITUDE
	ask "$api/timeseries/session_by_device/ingest/v1" -d '{"points":[{"device_id":"'"$device"'","timestamp":"2026-01-01T0'"$1"':00:00Z","latitude":'"$1"',"longitude":10}]}' |
		grep -q '"accepted": *1' || fail "the point $1 was not accepted"
}
latest() { ask "$api/timeseries/session_by_device/last_seen/v1?session_id=$session" | sed -n 's/.*"coordinates": *\[10, *\([0-9]*\).*/\1/p'; }

# Runs a command while somebody new connects and polls ten times a second, of whom none may be refused.
while_polled() { # COMMAND...
	: >/packages/polled
	(
		trap 'exit 0' TERM
		while :; do
			curl -s -o /dev/null --max-time 60 -w '%{http_code}\n' -H "Authorization: Bearer $token" "$api/timeseries/session_by_device/last_seen/v1?session_id=$session" >>/packages/polled &
			sleep 0.1
		done
	) &
	local polling=$!
	"$@"
	ready >/dev/null
	kill "$polling"
	wait "$polling" || :
	eventually no_poll
	[ "$(wc -l </packages/polled)" -gt 5 ] || fail "too few polls: $(wc -l </packages/polled)"
	expect "$(sort -u /packages/polled)" 200
	printf '   %s polls, all answered\n' "$(wc -l </packages/polled)"
}
no_poll() { ! pgrep -x curl; }

echo '== install'
dpkg -i /packages/this.deb >/packages/said 2>&1 || fail "$(cat /packages/said)"
grep -q 'systemctl enable --now lastseen.socket lastseen.service' /packages/said || fail "the package does not say how to start: $(cat /packages/said)"
expect "$(systemctl is-active lastseen.service)" inactive
getent passwd lastseen >/dev/null || fail 'there is no user lastseen'
echo 'LASTSEEN_LOG_LEVEL=debug' >>/etc/lastseen/lastseen.env

echo '== run, in the sandbox'
systemctl enable --now lastseen.socket lastseen.service
eventually ready
expect "$(stat -c '%U %a' /var/lib/lastseen)" 'lastseen 700'
expect "$(stat -c '%U %a' /etc/lastseen/lastseen.env)" 'root 600'
tr '\0' '\n' <"/proc/$(main_pid)/environ" | grep -qx 'LASTSEEN_LOG_LEVEL=debug' || fail 'what is in lastseen.env is not in the environment'
expect "$(sed -n 's/^NoNewPrivs:\t//p; s/^Seccomp:\t//p; s/^CapBnd:\t//p' "/proc/$(main_pid)/status" | tr '\n' ' ')" '0000000000000000 1 2 '
token=$(token)
device=$(ask "$api/devices/register_to_org/v1" -d '{"schema_version":1,"device_mac_address":"AA:BB:CC:00:00:01"}' | tr -d '"')
session=$(ask "$api/sessions/create_session/v1?device_id=$device" -d '{"schema_version":1}' | tr -d '"')
push 1
expect "$(latest)" 1
seq 0 99999 | awk 'BEGIN { print "device,timestamp,latitude,longitude" } { printf "truck%d,%d,%.5f,9.5\n", $1 % 20, 1767225600 + int($1 / 20) * 10, 48 + ($1 % 5000) / 5000 }' >/packages/tracks.csv
LASTSEEN_TOKEN=$token lastseen import /packages/tracks.csv >/packages/said 2>&1 || fail "import: $(tail -n 3 /packages/said)"
lastseen doctor --data-dir /var/lib/lastseen >/packages/said 2>&1 || fail "doctor: $(cat /packages/said)"

echo '== restart, and kill -9'
while_polled systemctl restart lastseen.service
pid=$(main_pid)
while_polled kill -9 "$pid"
eventually systemctl is-active lastseen.service
[ "$(main_pid)" != "$pid" ] || fail 'the killed service was not started anew'
expect "$(latest)" 1

echo '== backups'
as_user lastseen backup --data-dir /var/lib/lastseen --to /var/lib/lastseen/backups >/packages/backup 2>/packages/said || fail "backup: $(cat /packages/said)"
as_user lastseen restore --from "$(cat /packages/backup)" --data-dir /var/lib/lastseen/restored >/packages/said 2>&1 || fail "restore: $(cat /packages/said)"
install -d -o lastseen -g lastseen -m 0700 /var/backups/lastseen
! as_user lastseen backup --data-dir /var/lib/lastseen --to /var/backups/lastseen >/packages/said 2>&1 || fail 'the sandbox let the service write elsewhere'
expect "$(grep -c '^lastseen: back up: ' /packages/said)" 1
mkdir -p /etc/systemd/system/lastseen.service.d
printf '[Service]\nReadWritePaths=/var/backups/lastseen\n' >/etc/systemd/system/lastseen.service.d/override.conf
systemctl daemon-reload
systemctl restart lastseen.service
as_user lastseen backup --data-dir /var/lib/lastseen --to /var/backups/lastseen >/packages/said 2>&1 || fail "backup: $(cat /packages/said)"

echo '== upgrade while it runs'
while_polled dpkg -i /packages/next.deb
journalctl -u lastseen -o cat | grep -q '"version":"99.0.0' || fail 'the new version does not run'
expect "$(latest)" 1
push 2

echo '== go back, with a mistake in the configuration'
echo 'adr = "127.0.0.1:1"' >>/etc/lastseen/lastseen.toml
dpkg -i /packages/this.deb >/packages/said 2>&1 || fail "a service that does not start keeps the package out: $(cat /packages/said)"
grep -q '^lastseen: the service did not start' /packages/said || fail "the package does not say that the service does not start: $(cat /packages/said)"
journalctl -u lastseen -o cat | grep -q '^lastseen: the configuration file has "adr"' || fail 'the log does not say why'
sed -i '/^adr/d' /etc/lastseen/lastseen.toml
systemctl restart lastseen.service
expect "$(latest)" 2

echo '== remove and purge'
dpkg -r lastseen >/packages/said 2>&1 || fail "$(cat /packages/said)"
! systemctl is-active --quiet lastseen.service lastseen.socket || fail 'it runs after a removal'
dpkg -P lastseen >/packages/said 2>&1 || fail "$(cat /packages/said)"
[ -d /var/lib/lastseen/clickhouse ] || fail 'a purge took the data'
echo '== all is well'
