# The steps of test.sh, sourced by it.

work=$(mktemp -d /tmp/lastseen-release-XXXXXX)
chmod 0755 "$work"
root=$work/root
address=127.0.0.1:$((20000 + RANDOM % 10000))
pid=

say() { printf '\n== %s (%s s)\n' "$1" "$SECONDS" >&2; }
fail() {
	printf 'test-release: %s\n' "$1" >&2
	exit 1
}
expect() { [ "$1" = "$2" ] || fail "got '$1', want '$2'"; }

finish() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	[ -z "$pid" ] || wait "$pid" 2>/dev/null || :
	for mounted in "$work/small/proc" "$work/small" "$root/proc" "$root/dev/pts"; do
		! mountpoint -q "$mounted" || umount "$mounted"
	done
	rm -rf "$work"
}
trap finish EXIT

need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2" >/dev/null; }
}

in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }

# As the service's user, without a home directory, privileges or environment, like the unit. A command that is to be ended is
# run by "${service[@]}" itself, so that its process is the one that is known.
service=(chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --reuid=lastseen --regid=lastseen --clear-groups
	--no-new-privs --inh-caps=-all --bounding-set=-all env)
as_service() { "${service[@]}" "$@"; }

# The same commit, built in another place, must give the same bytes.
build_twice() {
	say "building twice"
	cmd/packaging/release.sh "$first"
	if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
		say "the tree has changes: not built again"
		return
	fi
	git clone --quiet --no-hardlinks . "$work/elsewhere"
	"$work/elsewhere/cmd/packaging/release.sh" "$work/second"
	cmp "$first/SHA256SUMS" "$work/second/SHA256SUMS" || fail "the same commit gave other bytes"
	rm -rf "$work/second" "$work/elsewhere"
}

bare_debian() {
	[ "$(id -u)" = 0 ] || fail "this needs root, for a chroot"
	need rpm rpm
	need curl curl
	if [ -n "${DEBIAN:-}" ]; then
		cp -a "$DEBIAN" "$root"
	else
		need debootstrap debootstrap
		debootstrap --variant=minbase bookworm "$root" >"$work/log" 2>&1 || fail "debootstrap: $(tail -n 3 "$work/log")"
	fi
	mount -t proc proc "$root/proc"
	mount --bind /dev/pts "$root/dev/pts" # lastseen clickhouse wants a terminal of its own
	cp "$this" "$root/tmp/this.deb"
	cp "$next" "$root/tmp/next.deb"
}

# The units must be what systemd understands, and keep the service within a sandbox.
check_units() {
	mkdir -p "$work/units"
	dpkg-deb -x "$this" "$work/units"
	cp -an /usr/lib/systemd/system/. "$work/units/usr/lib/systemd/system/" # the targets that ours name
	systemd-analyze --root="$work/units" --man=no verify lastseen.service lastseen.socket >"$work/log" 2>&1 || :
	! grep 'lastseen\.' "$work/log" >&2 || fail "systemd-analyze verify finds fault"
	systemd-analyze --root="$work/units" --offline=true --threshold=15 security lastseen.service >"$work/log" || fail "the sandbox is not tight: $(tail -n 1 "$work/log")"
	tail -n 1 "$work/log"
	check_links "$work/units/usr/share/doc/lastseen"
	rm -rf "$work/units"
}

# What the pages point to must have come with them.
check_links() { # FOLDER
	local page link
	find "$1" -name '*.md' | while read -r page; do
		sed 's/](/\n](/g' "$page" | sed -nE 's/^\]\(([^)#:]+)[)#].*/\1/p' | sort -u | while read -r link; do
			[ -e "$(dirname "$page")/$link" ] || fail "$page points to $link, which is not in the package"
		done
	done
	[ -e "$work/units$(sed -n 's|^Documentation=file://||p' "$work/units/usr/lib/systemd/system/lastseen.service")" ] || fail "the unit's documentation is not in the package"
}

start() {
	local command
	command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/lastseen.service")
	# shellcheck disable=SC2086 # the unit has no quotes
	"${service[@]}" LASTSEEN_ADDR="$address" $command 2>"$work/service.log" &
	pid=$!
	wait_ready
}

wait_ready() {
	local i
	for i in $(seq 300); do
		! curl -sf "http://$address/readyz" >/dev/null || return 0
		kill -0 "$pid" 2>/dev/null || fail "the service has ended: $(tail -n 3 "$work/service.log")"
		sleep 0.1
	done
	fail "the service is not ready: $(tail -n 3 "$work/service.log")"
}

stop() {
	kill "$pid"
	wait "$pid" || fail "the service did not stop well: $(tail -n 3 "$work/service.log")"
	pid=
}

start_fails() { # SENTENCE
	local command lines
	command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/lastseen.service")
	# shellcheck disable=SC2086
	! as_service LASTSEEN_ADDR="$address" $command 2>"$work/service.log" || fail "the service started, and ended well"
	grep '^lastseen:' "$work/service.log" | grep -qF "$1" || fail "it does not say '$1': $(cat "$work/service.log")"
	lines=$(grep -c '^lastseen:' "$work/service.log")
	expect "$lines" 1
}

version_that_runs() { sed -n 's/.*"version":"\([^ "]*\).*/\1/p' "$work/service.log" | head -n 1; }

token() { as_service /usr/bin/lastseen token --config /etc/lastseen/lastseen.toml --org org_release --user user_release --role owner; }

ask() { curl -sSf -H "Authorization: Bearer $(token)" -H 'Content-Type: application/json' "$@"; }

api=http://$address/tracking

# Pushes a point, of a device that is registered with the first one. It is acknowledged when this returns.
push() { # LATITUDE
	if [ ! -f "$work/session" ]; then
		ask "$api/devices/register_to_org/v1" -d '{"schema_version":1,"device_mac_address":"AA:BB:CC:00:00:01"}' | tr -d '"' >"$work/device"
		ask "$api/sessions/create_session/v1?device_id=$(cat "$work/device")" -d '{"schema_version":1}' | tr -d '"' >"$work/session"
	fi
	ask "$api/timeseries/session_by_device/ingest/v1" -d '{"points":[{"device_id":"'"$(cat "$work/device")"'","timestamp":"2026-01-01T0'"$1"':00:00Z","latitude":'"$1"',"longitude":10}]}' |
		grep -q '"accepted": *1' || fail "the point $1 was not accepted"
}

# The latitude of the newest point.
latest() { ask "$api/timeseries/session_by_device/last_seen/v1?session_id=$(cat "$work/session")" | sed -n 's/.*"coordinates": *\[10, *\([0-9]*\).*/\1/p'; }

# Records that the schema is newer than the program knows, and, with 0, that it is not, as ClickHouse server of the same data.
schema_version() { # VERSION
	local server port=$((30000 + RANDOM % 10000)) statement
	"${service[@]}" /usr/bin/lastseen clickhouse --config /etc/lastseen/lastseen.toml --http-addr 127.0.0.1:$port >"$work/log" 2>&1 &
	server=$!
	for _ in $(seq 100); do ! curl -sf "http://127.0.0.1:$port/ping" >/dev/null || break; sleep 0.1; done
	statement="INSERT INTO lastseen.schema_migrations VALUES ($1, 'of a later version', now64(3))"
	[ "$1" != 0 ] || statement="ALTER TABLE lastseen.schema_migrations DELETE WHERE version = 1000 SETTINGS mutations_sync = 2"
	curl -sSf "http://127.0.0.1:$port/" -d "$statement" || fail "lastseen clickhouse: $(cat "$work/log")"
	kill "$server"
	wait "$server" || fail "lastseen clickhouse: $(cat "$work/log")"
}

# On a disk without room for it, an upgrade changes nothing.
no_room() {
	local full
	mkdir "$work/small"
	full=$(($(du -sm --one-file-system "$root" | cut -f1) + 100))
	mount -t tmpfs -o "size=${full}m" tmpfs "$work/small"
	cp -a --one-file-system "$root/." "$work/small/"
	mount -t proc proc "$work/small/proc"
	! chroot "$work/small" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg -i /tmp/next.deb >"$work/log" 2>&1 || fail "it was installed without room"
	grep -q '^lastseen: the program and its engine need .* make room' "$work/log" || fail "it does not say that there is no room: $(cat "$work/log")"
	chroot "$work/small" /usr/bin/lastseen --version >/dev/null || fail "the version from before is gone"
	umount "$work/small/proc" "$work/small"
}

# Does what the Containerfile says, as far as a chroot can.
container_steps() {
	local run
	cp "$this" "$root/tmp/lastseen.deb"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	run=$(sed -n '/^RUN /,/[^\\]$/p' cmd/packaging/Containerfile | sed 's/^RUN //; s/\\$//' | tr '\n' ' ')
	in_root sh -ec "$run" >"$work/log" 2>&1 || fail "RUN of the Containerfile: $(tail -n 5 "$work/log")"
	in_root sh -ec "$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]/\1/p' cmd/packaging/Containerfile) --version"
}

install_rpm() { # FILE
	rpm --root "$root" --force-debian --nodeps -i "$1" >"$work/log" 2>&1 || fail "rpm: $(cat "$work/log")"
}

tarball_runs() { # FILE
	local prefix=$work/prefix
	mkdir "$prefix" "$work/data"
	chown 65534:65534 "$work/data"
	tar -xf "$1" -C "$prefix" --strip-components=1
	env -i LASTSEEN_ADDR="$address" setpriv --reuid=65534 --regid=65534 --clear-groups "$prefix/bin/lastseen" serve --data-dir "$work/data" 2>"$work/service.log" &
	pid=$!
	wait_ready
	stop
}

# Boots what is left of the bare Debian with systemd, which runs test-systemd.sh. Its last line says that all is well.
under_systemd() {
	need systemd-nspawn systemd-container
	umount "$root/proc" "$root/dev/pts"
	in_root sh -ec 'apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv dbus curl procps' >"$work/log" 2>&1 ||
		fail "install systemd: $(tail -n 3 "$work/log")"
	rm -rf "$root/var/lib/lastseen" "$root/etc/lastseen"
	mkdir "$root/packages"
	cp "$this" "$root/packages/this.deb"
	cp "$next" "$root/packages/next.deb"
	install -m 0755 cmd/packaging/test-systemd.sh "$root/packages/"
	cat >"$root/etc/systemd/system/test.service" <<-'UNIT'
		[Unit]
		After=dbus.service
		SuccessAction=exit
		FailureAction=exit
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'exec /packages/test-systemd.sh >/packages/log 2>&1'
		TimeoutStartSec=10min
	UNIT
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -s ../test.service "$root/etc/systemd/system/multi-user.target.wants/"
	# Its exit code also tells of what it cannot tidy up of its own.
	systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit --boot </dev/null >"$work/log" 2>&1 || :
	[ -f "$root/packages/log" ] || fail "systemd-nspawn boots nothing here: $(tail -n 3 "$work/log")"
	[ "$(tail -n 1 "$root/packages/log")" = '== all is well' ] || fail "under systemd: $(cat "$root/packages/log")"
	cat "$root/packages/log"
}
