#!/bin/sh
# Writes the client's module as a version into a folder with the layout of a Go proxy, from which `go get` fetches it: over HTTP
# from any web server, or from the disk (GOPROXY=file://FOLDER). What is not committed is not in it.
set -eu
version=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
cd "$(dirname "$0")"
module=$(sed -n 's/^module //p' go.mod)
at=$folder/$module/@v
mkdir -p "$at"
git archive --format=zip --prefix="$module@$version/" --output="$at/$version.zip" HEAD .
cp go.mod "$at/$version.mod"
printf '{"Version":"%s","Time":"%s"}\n' "$version" "$(TZ=UTC0 git log -1 --date=format-local:%FT%TZ --format=%cd HEAD)" > "$at/$version.info"
{ cat "$at/list" 2>/dev/null || true; echo "$version"; } | sort -u > "$at/list.new"
mv "$at/list.new" "$at/list"
