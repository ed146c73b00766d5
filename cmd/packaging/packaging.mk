# How releases are made and tested, included from the top.

## release: tarball, .deb and .rpm of what is checked out, its SBOM and checksums, into dist
.PHONY: release
release:
	cmd/packaging/release.sh dist

## test-release: build twice and compare, then install, run, upgrade, downgrade and purge in a bare Debian (as root)
.PHONY: test-release
test-release:
	cmd/packaging/test.sh

## notices: make the notices of `lastseen licenses` anew, after a change of go.mod or of the engine
.PHONY: notices
notices: engine
	go run ./cmd/lastseen/licenses/generate -engine

## keep-data: keep the data directory that PROGRAM (default bin/lastseen) leaves behind as that of the release VERSION, for the tests
.PHONY: keep-data
PROGRAM ?= $(CURDIR)/bin/lastseen
keep-data: build
	LASTSEEN_KEEP=$(VERSION) LASTSEEN_KEEP_BINARY=$(PROGRAM) go test ./cmd/lastseen -run '^TestKeepTheDataDirectoryOfARelease$$' -count=1

DOCKERFILE_UTILS := dockerfile-utils@0.16.3

## lint-container: look for mistakes in the Containerfile
.PHONY: lint-container
lint-container:
	npm exec --yes --loglevel=error -- $(DOCKERFILE_UTILS) lint cmd/packaging/Containerfile
