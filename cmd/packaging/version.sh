#!/bin/sh
# Prints the version of what is checked out: X.Y.Z on the commit of the tag vX.Y.Z, and elsewhere that of the next release
# with what tells it from others, X.Y.Z-dev.COMMITS.gHASH, which is newer than the last release and older than the next.
set -eu
cd "$(dirname -- "$0")/../.."
if tag=$(git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null); then
	version=${tag#v}
else
	last=$(sed -nE 's/^## \[([0-9]+\.[0-9]+)\.[0-9]+\].*/\1/p' CHANGELOG.md | head -n 1)
	: "${last:=0.0}"
	version=${last%.*}.$((${last#*.} + 1)).0-dev.$(git rev-list --count HEAD).g$(git rev-parse --short=10 HEAD)
fi
[ -z "$(git status --porcelain --untracked-files=no)" ] || version=$version.dirty
printf '%s\n' "$version"
