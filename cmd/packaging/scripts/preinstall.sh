#!/bin/sh
# Before the files come: a disk that cannot hold them is said before anything has changed. What runs now goes on.
set -eu
needed=@INSTALLED_MB@
free=$(df -Pm /usr | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)
if [ "$free" -lt "$needed" ]; then
	echo "lastseen: the program and its engine need $needed MB below /usr, and $free MB are free: make room and install again; nothing has been changed." >&2
	exit 1
fi
