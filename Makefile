# lastseen: `make demo` sets everything up and runs the main job; `make test` runs the tests.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# The race detector is built on cgo.
RACE := $(if $(shell command -v $$(go env CC)),-race)

# The console's tests drive a real browser.
CHROMIUM := $(or $(LASTSEEN_CHROMIUM),$(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name)))))

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

include schema/embedded/engine/engine.mk
include bench/bench.mk
include cmd/clients/clients.mk
include cmd/packaging/packaging.mk

## help: list the targets
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## build: fetch the engine and build bin/lastseen
.PHONY: build
build: engine
	go build -trimpath -o bin/lastseen ./cmd/lastseen

## demo: run the service with a simulated fleet, and print a key and the curl lines to try
.PHONY: demo
demo: build
	./bin/lastseen demo

## demo-nodes: run three nodes on one ClickHouse server, on this machine, until Ctrl-C; kill some, and look at them with bin/lastseen nodes
.PHONY: demo-nodes
demo-nodes: build
	@dir=$$(mktemp -d); set -m; nodes=(); \
	finish() { set +m; echo "Stopping the nodes, one after the other, and ClickHouse"; for p in "$${nodes[@]}" $$store; do kill $$p 2>/dev/null; wait $$p; done; rm -rf "$$dir"; }; \
	trap finish EXIT; trap 'exit 0' INT TERM; \
	mkdir -p "$$dir"/node-{1,2,3}; \
	./bin/lastseen clickhouse --data-dir "$$dir/clickhouse" --http-addr 127.0.0.1:8123 & store=$$!; \
	token=$$(./bin/lastseen token --data-dir "$$dir/node-1" --org org_demo --user user_demo --role owner 2>/dev/null); \
	for i in 2 3; do cp "$$dir/node-1/issuer.key" "$$dir/node-$$i/"; done; \
	until (exec 3<>/dev/tcp/127.0.0.1/8123) 2>/dev/null; do sleep 0.2; done; \
	serve() { echo "./bin/lastseen serve --data-dir $$dir/node-$$1 --clickhouse http://127.0.0.1:8123/lastseen --log-level warn --addr 127.0.0.1:808$$1 --peer-addr 127.0.0.1:948$$1 --admin-addr 127.0.0.1:949$$1"; }; \
	for i in 1 2 3; do \
	  $$(serve $$i) & nodes+=($$!); \
	  echo "node $$i: http://127.0.0.1:808$$i, process $$!"; \
	done; \
	until [ "$$(./bin/lastseen nodes --admin http://127.0.0.1:9491 2>/dev/null | grep -c ' 127.0.0.1:948[123] ')" = 3 ]; do sleep 0.5; done; \
	./bin/lastseen nodes --admin http://127.0.0.1:9491; \
	echo "Look again with: bin/lastseen nodes --admin http://127.0.0.1:9491 (or 9492, 9493)"; \
	echo "Ask any node, with a user token: curl -H 'Authorization: Bearer $$token' http://127.0.0.1:8082/tracking/sessions/list/v1"; \
	echo "Kill one with kill -9 and its process, look, and start it again in another terminal, the first with: $$(serve 1)"; \
	wait

## test: fetch the engine, then vet, lint and run the tests with the race detector
.PHONY: test
test: engine lint
	@if [ -z "$(RACE)" ]; then echo "No C compiler was found, which the race detector needs: the tests run without it."; fi
	@if [ -z "$(CHROMIUM)" ]; then echo "No Chromium was found: the browser tests of the console are skipped (on Debian: apt-get install chromium)."; fi
	go test $(RACE) -vet=off -timeout 30m ./...
	@if [ -n "$(RACE)" ]; then go test ./server/cluster/replica; fi
	$(MAKE) --no-print-directory test-baselines

# The packages whose tests use ClickHouse, and of these the end-to-end tests.
STORE_TESTS := ./schema/... ./ingest/... ./query/... ./keys/... ./cmd/lastseen
END_TO_END := ./cmd/lastseen

## test-server: the tests that use ClickHouse, on a ClickHouse server in a process of its own
.PHONY: test-server
test-server: engine
	LASTSEEN_TEST_LAYOUT=server go test -timeout 30m $(STORE_TESTS)

## test-cluster: the end-to-end tests and those of the schema, on a cluster of two shards
.PHONY: test-cluster
test-cluster: engine
	LASTSEEN_TEST_LAYOUT=cluster go test -timeout 30m ./schema ./schema/clickhousetest $(END_TO_END)

## test-feed: the killed consumer of the feed on a server and a cluster, where it waits for a minute
.PHONY: test-feed
test-feed: engine
	for layout in server cluster; do \
	  LASTSEEN_TEST_FEED=1 LASTSEEN_TEST_LAYOUT=$$layout go test $(END_TO_END) -count=1 -run '^TestAConsumerOfTheFeed' || exit 1; done

## test-backup: backups and restores, under load and with kill -9, in folders and in S3, embedded and on a server
.PHONY: test-backup
test-backup: engine
	for layout in embedded server; do \
	  LASTSEEN_TEST_BACKUP=1 LASTSEEN_TEST_LAYOUT=$$layout go test ./schema/backup $(END_TO_END) -count=1 -timeout 10m \
	    -run 'Backup|Backed|Restore|IssuersKey' || exit 1; done

## cycles-server: kill -9 of the service, of its ClickHouse server and of both, CYCLES times (default 102), under ingest
.PHONY: cycles-server
CYCLES ?= 102
cycles-server: engine
	LASTSEEN_KILL_CYCLES=$(CYCLES) go test ./cmd/lastseen -run '^TestAcknowledgedPointsSurviveKillsOnAServer$$' -count=1 -v -timeout 30m

## test-firefox: the console's stories in Firefox, which is spoken to by WebDriver BiDi (on Debian: firefox-esr)
.PHONY: test-firefox
test-firefox: engine
	LASTSEEN_REQUIRE_FIREFOX=1 go test ./server -run '^TestTheConsoleWorksInFirefox$$' -count=1 -v

## simulate: SEEDS seeds (default 1000) of the protocol of several nodes under faults, beginning with FIRST (default 1); about 0.2 s of a processor each
.PHONY: simulate
SEEDS ?= 1000
FIRST ?= 1
simulate:
	SEEDS=$(SEEDS) FIRST=$(FIRST) go test ./server/cluster/replica -run '^TestThePromisesHoldUnderRandomFaults$$' -count=1 -v -timeout 10h

## cycles-nodes: let NODE_CYCLES things (default 200) go wrong with a service of three nodes, with clients on each; NODE_KEEPER=1 with its register in a ZooKeeper, NODE_SHARDS=2 on a cluster besides, NODE_RACE=1 with the race detector, NODE_CLOCKS=1 with wall clocks that jump
.PHONY: cycles-nodes
NODE_CYCLES ?= 200
cycles-nodes: engine
	LASTSEEN_NODE_CYCLES=$(NODE_CYCLES) LASTSEEN_NODE_KEEPER=$(NODE_KEEPER) LASTSEEN_NODE_SHARDS=$(NODE_SHARDS) LASTSEEN_TEST_RACE=$(NODE_RACE) LASTSEEN_NODE_CLOCKS=$(NODE_CLOCKS) \
	  go test ./cmd/lastseen -run '^TestNoNodeBreaksAPromise$$' -count=1 -v -timeout 240m

## test-nodes: nodes find, follow and survive each other, with a register in ClickHouse and in a Keeper; are measured, upgraded one by one, and serve clients, people, files and the console without sticky sessions, and refuse who must not take part, and everybody once ClickHouse was set back to an earlier state
.PHONY: test-nodes
test-nodes: engine
	LASTSEEN_TEST_NODES=1 go test ./server/cluster/member -count=1 -v -timeout 10m
	LASTSEEN_TEST_NODES=1 go test ./bench -run '^TestNodes' -count=1 -v -timeout 10m
	LASTSEEN_TEST_NODES=1 go test ./server -run '^(TestClientsOfNodes|TestNodesTakeACrowd|TestTheConsoleWorksThroughAny|TestNodesAreUpgraded|TestANodeOfAVersion)' -count=1 -v -timeout 10m
	LASTSEEN_TEST_NODES=1 go test ./cmd/lastseen -run '^(TestWhoMustNotTakePart|TestPeopleAndFiles|TestNodesNotice|TestANodeAloneNotices|TestWhatWasHanded|TestNodesGoOn|TestAMovedRegister)' -count=1 -v -timeout 10m

## test-tls: the tests of the server over TLS, which their clients speak through a tunnel, and the renewal of a certificate
.PHONY: test-tls
test-tls: engine
	LASTSEEN_TEST_TLS=1 go test ./server ./server/certificate -count=1 -timeout 20m

## test-doctor: lastseen doctor on an engine and on a server, running, stopped and with troubles that are really made
.PHONY: test-doctor
test-doctor: engine
	LASTSEEN_TEST_DOCTOR=1 go test ./cmd/lastseen -run '^TestDoctor' -count=1

## screenshots: take the pictures of the console in docs/screenshots anew, with Chromium
.PHONY: screenshots
screenshots: engine
	LASTSEEN_REQUIRE_CHROMIUM=1 LASTSEEN_SCREENSHOTS=$(CURDIR)/docs/screenshots go test ./server -run '^TestScreenshots$$' -count=1

## test-quick: every test that does not take long, without the race detector
.PHONY: test-quick
test-quick: engine
	go test -short ./...

## lint: gofmt, go vet, staticcheck
.PHONY: lint
lint: lint-baselines
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

## fuzz: run every fuzz target for FUZZTIME (default 30s) each
.PHONY: fuzz
FUZZTIME ?= 30s
# Go now and then reports its own time limit as a failure of the target ("context deadline exceeded", with no input to blame).
# That alone ends nothing; whatever else a target says does.
fuzz: engine
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	grep -rEl '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/p' "$$file"); do \
	    echo "$$target in $$(dirname "$$file")"; \
	    go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) 2>&1 | tee "$$log"; \
	    [ $${PIPESTATUS[0]} -eq 0 ] && continue; \
	    said=$$(sed -n '/^--- FAIL/,/^FAIL/p' "$$log" | grep -v -e '^--- FAIL' -e '^FAIL' -e '^ *$$'); \
	    [ "$$(echo $$said)" = "context deadline exceeded" ] || exit 1; \
	    echo "$$target: only Go's own time limit"; \
	  done; done

## clean: remove what was built (the engine stays in its cache)
.PHONY: clean
clean:
	rm -rf bin
