# The load suite. BENCH_FLAGS go to `lastseen bench`, for example:
#   make bench BENCH_FLAGS="last-seen --sessions 1000000"

# What only the comparison needs is a Go module of its own, so that the service does without its libraries.
BASELINES := bench/baselines

# A binary that is built with -buildvcs=false does not know its commit.
export LASTSEEN_COMMIT ?= $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)

## bench: measure the service beside Redis, PostgreSQL and others (half an hour or more)
.PHONY: bench
bench: build baselines
	./bench/setup.sh
	./bin/lastseen bench $(BENCH_FLAGS)

## bench-record: the same, and write docs/benchmarks.md
.PHONY: bench-record
bench-record: build baselines
	./bench/setup.sh
	./bin/lastseen bench $(BENCH_FLAGS) --record docs

# baselines builds what the suite loads data with and compares with, beside lastseen, where the suite looks for it.
.PHONY: baselines
baselines:
	go build -C $(BASELINES) -trimpath -o $(CURDIR)/bin/lastseen-baselines .

.PHONY: lint-baselines test-baselines
lint-baselines:
	go vet -C $(BASELINES) ./...
	cd $(BASELINES) && go run $(STATICCHECK) ./...

test-baselines: engine
	go test -C $(BASELINES) $(RACE) -timeout 30m ./...
