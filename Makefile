# Everything a person or a machine does with the project. `make` alone prints this help.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
# What builds and tests without DPDK. The outer tests' own targets that need a device are behind their feature.
PURE := --workspace --exclude ringdns --exclude ringdns-ffi
# With the outer tests that start the server, and the benches through DPDK.
ALL := --workspace --features ringdns-tests/device,ringdns-bench/dpdk

# How much `make differential` asks: zones (SEEDS, from FIRST_SEED on) and questions to each, of each reference server.
SEEDS ?= 4
FIRST_SEED ?= 1
QUESTIONS ?= 4000
# Seconds for each target of `make fuzz-smoke`.
FUZZ_SECONDS ?= 10
# The tests that miri runs: all beside the sources, and whole answers, which pass through every part of the engine.
MIRI_TESTS := --lib --test answers

.PHONY: help run build check check-dpdk test e2e differential differential-long loom miri fuzz-smoke bench fmt clean deps deps-test

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

differential: deps-test build ## Answers compared with NSD's and Knot's (root; SEEDS=4 QUESTIONS=4000 say how many)
	@SEEDS=$(SEEDS) FIRST_SEED=$(FIRST_SEED) QUESTIONS=$(QUESTIONS) scripts/run-device-test differential

differential-long: ## The same with hundreds of thousands of questions (root)
	@MINUTES_MAX=60 $(MAKE) --no-print-directory differential SEEDS=32 QUESTIONS=16000

loom: ## Every interleaving of the publication
	RUSTFLAGS="--cfg loom" $(CARGO) test --release --locked -p ringdns-engine --lib --target-dir target/loom loom

miri: ## The engine under miri, which sees undefined behaviour (nightly Rust by way of rustup)
	@scripts/with-miri miri test --locked -p ringdns-engine $(MIRI_TESTS) --target-dir target/miri

fuzz-smoke: ## Each fuzz target for some seconds, guided by coverage (g++; FUZZ_SECONDS=10; see scripts/fuzz)
	@scripts/fuzz run $(FUZZ_SECONDS)

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
