# Everything a person or a machine does with the project. `make` alone prints this help.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
# What builds and tests without DPDK. The outer tests' own targets that need a device are behind their feature.
PURE := --workspace --exclude ringdns --exclude ringdns-ffi
# With the outer tests that start the server, and the benches through DPDK.
ALL := --workspace --features ringdns-tests/device,ringdns-bench/dpdk

.PHONY: help run build check check-dpdk test e2e differential loom bench fmt clean deps deps-test

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: deps build ## Install what is missing, build, and answer queries on a TAP device until ctrl-C
	@exec scripts/run-demo

build: ## Build the server (release)
	$(CARGO) build --release --locked

check: ## Format, clippy, tests, documents, tidy: all that needs no DPDK
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PURE) --all-targets --locked -- -D warnings
	$(CARGO) test $(PURE) --locked
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PURE) --no-deps --locked
	@scripts/check-optional

check-dpdk: ## Clippy and tests of what touches DPDK
	$(CARGO) clippy $(ALL) --all-targets --locked -- -D warnings
	$(CARGO) test -p ringdns -p ringdns-ffi -p ringdns-dataplane --features ringdns-dataplane/dpdk --locked

test: deps deps-test check loom check-dpdk e2e differential ## Everything that CI runs

e2e: deps-test build ## The built server on virtual devices: REST, dig, dnsperf, malformed frames (root)
	@scripts/run-device-test e2e

differential: deps-test build ## Thousands of answers compared with NSD's and Knot's (root)
	@scripts/run-device-test differential

loom: ## Every interleaving of the publication
	RUSTFLAGS="--cfg loom" $(CARGO) test --release --locked -p ringdns-engine --lib --target-dir target/loom loom

bench: ## Time the engine alone, and a worker against testpmd (root, dpdk-dev; bench/README.md tells how to read it)
	$(CARGO) run --release --locked -p ringdns-bench --bin engine
	scripts/bench-replay 1000
	scripts/bench-replay 1000000

fmt: ## Format the code
	$(CARGO) fmt --all

clean: ## Remove what was built
	$(CARGO) clean

deps: # What building and running needs
	@scripts/install-deps build run

deps-test: # What the outer tests need on top
	@scripts/install-deps test
