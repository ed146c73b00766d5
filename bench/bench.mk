# The load suite. BENCH_FLAGS go to `lastseen bench`, for example:
#   make bench BENCH_FLAGS="last-seen --sessions 1000000"

# A binary that is built with -buildvcs=false does not know its commit.
export LASTSEEN_COMMIT ?= $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)

## bench: measure the service beside Redis, PostgreSQL and others (about 15 minutes)
.PHONY: bench
bench: build
	./bench/setup.sh
	./bin/lastseen bench $(BENCH_FLAGS)

## bench-record: the same, and write docs/benchmarks.md
.PHONY: bench-record
bench-record: build
	./bench/setup.sh
	./bin/lastseen bench $(BENCH_FLAGS) --record docs
