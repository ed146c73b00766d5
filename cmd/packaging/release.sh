#!/usr/bin/env bash
# Builds the release of what is checked out into DIR (default dist): for each architecture a tarball, a .deb and an .rpm, the
# list of what they are made of (CycloneDX), and the sums of all. The same commit gives the same bytes, wherever and whenever.
#
#   cmd/packaging/release.sh [DIR]      ARCHES="amd64 arm64" and KINDS="tarball deb rpm" choose what, VERSION goes before the tag
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
out=${1:-dist}
arches=${ARCHES:-amd64 arm64}
kinds=${KINDS:-tarball deb rpm}
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
cyclonedx=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

umask 022
export LC_ALL=C TZ=UTC GOFLAGS= CGO_ENABLED=0
SOURCE_DATE_EPOCH=$(git show -s --format=%ct HEAD)
export SOURCE_DATE_EPOCH
version=${VERSION:-$(cmd/packaging/version.sh)}
commit=$(git rev-parse --short=12 HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'release: %s\n' "$1" >&2; }

# Where the engine of an architecture is; nothing where there is none.
engine() {
	[ "$1" = amd64 ] || return 0
	schema/embedded/engine/fetch.sh
	printf '%s\n' "${CHDB_LIB_PATH:-${XDG_CACHE_HOME:-$HOME/.cache}/lastseen/engine/$engine_version/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so}"
}
engine_version=$(sed -n 's|^ *"@chdb/lib-linux-x64-gnu": "\(.*\)".*|\1|p' schema/embedded/engine/package.json)

build() { # FILE
	go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.release=$version -X main.commit=$commit" -o "$1" ./cmd/lastseen
}

# The files of one architecture, laid out as PREFIX of the tarball.
lay_out() { # ARCH STAGE
	local arch=$1 stage=$2 library
	mkdir -p "$stage"/{bin,lib/lastseen,lib/systemd/system,lib/sysusers.d,share/doc/lastseen,etc/lastseen}
	GOOS=linux GOARCH=$arch build "$stage/bin/lastseen"
	library=$(engine "$arch")
	if [ -n "$library" ]; then
		cp --reflink=auto "$library" "$stage/lib/lastseen/libchdb.so"
	else
		rmdir "$stage/lib/lastseen"
	fi
	cp cmd/packaging/lastseen.{service,socket} "$stage/lib/systemd/system/"
	cp cmd/packaging/lastseen.sysusers "$stage/lib/sysusers.d/lastseen.conf"
	cp cmd/packaging/lastseen.{toml,env} "$stage/etc/lastseen/"
	cp -r README.md CHANGELOG.md CONTRIBUTING.md LICENSE.md SECURITY.md docs "$work/copyright" "$stage/share/doc/lastseen/"
	cp "$work/$sbom" "$stage/share/doc/lastseen/lastseen.cdx.json"
	find "$stage" -type d -exec chmod 0755 {} +
	find "$stage" -type f -exec chmod 0644 {} +
	chmod 0755 "$stage/bin/lastseen"
	find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

tarball() { # ARCH STAGE
	local name
	name=$(basename "$2")
	tar -C "$work" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
		gzip -n -6 >"$out/$name.tar.gz"
}

package() { # ARCH STAGE deb|rpm
	local megabytes
	megabytes=$(du -sm --apparent-size "$2" | cut -f1)
	sed "s|@INSTALLED_MB@|$((megabytes + 20))|" cmd/packaging/scripts/preinstall.sh >"$work/preinstall.sh"
	sed -e "s|@STAGE@|$2|; s|@WORK@|$work|; s|@HERE@|$here|; s|@ARCH@|$1|; s|@VERSION@|$version|" cmd/packaging/nfpm.yaml >"$work/nfpm.yaml"
	[ -d "$2/lib/lastseen" ] || sed -i '/libchdb/d' "$work/nfpm.yaml"
	go run "$nfpm" package --config "$work/nfpm.yaml" --packager "$3" --target "$out/$(basename "$2").$3" >&2
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
say "lastseen $version"
sbom=lastseen_$version.cdx.json
build "$work/lastseen"
go run "$cyclonedx" bin -json -licenses -noserial -notimestamp -version "v$version" -output "$work/modules.json" "$work/lastseen" 2>"$work/log" ||
	{ cat "$work/log" >&2 && exit 1; } # it warns of our own module, which is in no registry
go run ./cmd/lastseen/licenses/generate -sbom "$work/modules.json" -version "$version" >"$work/$sbom"
"$work/lastseen" licenses >"$work/copyright"
for arch in $arches; do
	name=lastseen_${version}_linux_$arch
	say "$name"
	lay_out "$arch" "$work/$name"
	for kind in $kinds; do
		if [ "$kind" = tarball ]; then tarball "$arch" "$work/$name"; else package "$arch" "$work/$name" "$kind"; fi
	done
	rm -rf "${work:?}/$name"
done
cp "$work/$sbom" "$out/"
(cd "$out" && sha256sum lastseen_"$version"* >"SHA256SUMS")
say "in $out:"
(cd "$out" && ls -l lastseen_"$version"* SHA256SUMS) >&2
