# The client libraries' part of the Makefile, included from the top.

CLIENTS := cmd/clients

## test-clients: the Go and the TypeScript client, and their examples, against the real binary
.PHONY: test-clients
test-clients: client-go client-typescript
	cd $(CLIENTS)/go && go vet ./... && go run $(STATICCHECK) ./... && LASTSEEN_BINARY=$(CURDIR)/bin/lastseen go test -count=1 ./...
	cd $(CLIENTS)/typescript && LASTSEEN_BINARY=$(CURDIR)/bin/lastseen npm test --silent

## client-go: what a Go proxy has of the Go client, as CLIENT_VERSION (default v0.0.0), in bin/clients/goproxy
.PHONY: client-go
CLIENT_VERSION ?= v0.0.0
client-go:
	$(CLIENTS)/go/module.sh $(CLIENT_VERSION) bin/clients/goproxy

## client-typescript: generate the TypeScript client's types from the API's description and build it, with npm
.PHONY: client-typescript
client-typescript: build
	cd $(CLIENTS)/typescript && npm ci --ignore-scripts --no-audit --no-fund --silent && \
	  $(CURDIR)/bin/lastseen openapi > openapi.json && npm run --silent generate && npm run --silent build
