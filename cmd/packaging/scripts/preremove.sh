#!/bin/sh
# Before the files go: the service is stopped, unless another version is about to come ("upgrade" of Debian, 1 of RPM).
set -eu
case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now lastseen.socket lastseen.service
	fi
	;;
esac
