# The engine's part of the Makefile, included from the top.

ENGINE_DIR := schema/embedded/engine

# How long `make stress` runs.
LASTSEEN_STRESS ?= 10m

## engine: fetch the ClickHouse engine into the user's cache, once
.PHONY: engine
engine:
	@$(ENGINE_DIR)/fetch.sh

## stress: ten minutes of mixed load, cancellations and garbage collection on the embedded engine
.PHONY: stress
stress: engine
	LASTSEEN_STRESS=$(LASTSEEN_STRESS) go test -count=1 -timeout 0 -v -run '^TestStress$$' ./schema/embedded

# How many inserts `make stress-inserts` makes.
LASTSEEN_STRESS_INSERTS ?= 1000000

## stress-inserts: a million small inserts into the embedded engine, memory watched
.PHONY: stress-inserts
stress-inserts: engine
	LASTSEEN_STRESS_INSERTS=$(LASTSEEN_STRESS_INSERTS) go test -count=1 -timeout 0 -v -run '^TestMillionsOfInserts$$' ./schema/embedded
