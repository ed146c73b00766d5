#!/bin/sh
# After the files have come: the service's user and its data directory; what runs is restarted as the new version.
# Debian calls this with "configure" and the version before, RPM with the number of versions that there are now.
set -eu
if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers /usr/lib/sysusers.d/lastseen.conf
elif ! getent passwd lastseen >/dev/null; then
	shell=/usr/sbin/nologin
	[ -x "$shell" ] || shell=/sbin/nologin
	useradd --system --user-group --no-create-home --home-dir /var/lib/lastseen --shell "$shell" lastseen
fi
install -d -m 0700 -o lastseen -g lastseen /var/lib/lastseen

case "$1:${2:-}" in
configure: | 1:*) upgrade= ;;
*) upgrade=1 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ -z "$upgrade" ]; then
		echo "lastseen: to start it, now and whenever the machine starts: systemctl enable --now lastseen.socket lastseen.service"
	elif ! systemctl try-restart lastseen.service; then
		echo "lastseen: the service did not start as the version that was just installed, its data are as they were: journalctl -u lastseen says why." >&2
	fi
elif [ -n "$upgrade" ]; then
	echo "lastseen: a service that runs is still the version from before: restart it."
fi
