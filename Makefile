# make help tells what there is.

MODULES ?= $(shell scripts/modules)
PKGS    ?= ./...

# The race detector needs a C compiler. Where there is none the tests run without, and say so.
RACE = $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race || echo "make: no C compiler: running without the race detector" >&2)

# The servers that tests share are started once, and their addresses handed to
# whatever runs behind the dashes.
WITH_SERVERS = go run ./internal/redistest/fixtures --

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "make %-8s %s\n", $$1, $$2 } /^#: /{ print "              " substr($$0, 4) }' Makefile

.PHONY: test
test: export REDISKIT_REQUIRE_SERVER = 1
test: servers ## Run all tests of all modules with the race detector, on real servers
#: a part of them: make test MODULES=. PKGS=./hash TESTFLAGS='-v -run Push'
	$(WITH_SERVERS) go run ./internal/testall $(MODULES) -- $(RACE) $(TESTFLAGS) $(PKGS)

.PHONY: check
check: ## Check without running: format, vet, staticcheck, vulnerabilities, modules, docs
	@scripts/check

.PHONY: docs
docs: ## Check that the Go in the Markdown files compiles and that their links lead somewhere
	go run ./internal/docsnippets

.PHONY: demo
demo: ## Show the toolkit at work, on REDIS_URL or on a server in the process
	go run ./cmd/rediskit demo

.PHONY: bench
bench: servers ## Measure side by side with other libraries
#: a part of it: make bench AREA=hash RUNS=3; as over a network: RTT=1ms
	go -C bench run . $(if $(AREA),-area=$(AREA)) $(if $(RUNS),-runs=$(RUNS)) $(if $(RTT),-rtt=$(RTT))

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (10s) each
	@FUZZTIME=$(or $(FUZZTIME),10s) scripts/fuzz

.PHONY: soak
soak: export REDISKIT_REQUIRE_SERVER = 1
soak: export REDISKIT_SOAK = $(or $(FACTOR),100)
soak: servers ## Run the tests named Soak FACTOR (100) times as long as make test does
#: a part of it: make soak MODULES=. PKGS=./queue FACTOR=20
	$(WITH_SERVERS) go run ./internal/testall $(MODULES) -- $(RACE) -v -run Soak -timeout $(or $(TIMEOUT),2h) $(PKGS)

.PHONY: cover
cover: export REDISKIT_REQUIRE_SERVER = 1
cover: servers ## Write cover.html and print how much of the root module the tests reach
	$(WITH_SERVERS) go test -covermode=atomic -coverpkg=./... -coverprofile=cover.out ./...
	@go tool cover -html=cover.out -o cover.html
	@go tool cover -func=cover.out | tail -n 1

.PHONY: servers
servers:
	@scripts/install-redis
