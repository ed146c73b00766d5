#!/bin/sh
# After the files have gone. The data are the operator's: neither a removal nor a purge deletes them.
set -eu
[ ! -d /run/systemd/system ] || systemctl daemon-reload
case "$1" in
purge | 0)
	if [ -d /var/lib/lastseen ]; then
		echo "lastseen: the data stay in /var/lib/lastseen, and its user with them: delete that directory and 'userdel lastseen' if nobody needs them."
	fi
	;;
esac
