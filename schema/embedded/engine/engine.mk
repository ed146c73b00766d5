# The engine's part of the Makefile, included from the top.

ENGINE_DIR := schema/embedded/engine
LASTSEEN_STRESS ?= 10m

.PHONY: engine stress

engine: ## fetch the ClickHouse engine into the user's cache (once)
	@$(ENGINE_DIR)/fetch.sh

stress: engine ## ten minutes of mixed load on the embedded engine
	LASTSEEN_STRESS=$(LASTSEEN_STRESS) go test -count=1 -timeout 0 -v -run '^TestStress$$' ./schema/embedded
