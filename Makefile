# Everything a person or a machine does with the project. `make` alone prints this help.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
# What builds and tests without DPDK. The outer tests' own targets that need a device are behind their feature.
PURE := --workspace --exclude ringdns --exclude ringdns-ffi
# With the outer tests that start the server, and the benches through DPDK.
ALL := --workspace --features ringdns-tests/device,ringdns-bench/dpdk,ringdns-bench/device
# All tests that need no root. The whole workspace: of a few packages alone, the dependencies would have other features and be
# built again.
TESTS := --workspace --features ringdns-dataplane/dpdk,ringdns-bench/device
# All benches with the same features, so that none is built twice.
BENCH := --release --locked -p ringdns-bench --features dpdk,device
# How long publication is watched under load.
SOAK_SECONDS ?= 600
# How many answers `make spoof` forges.
FORGERIES ?= 1000000
# How often `make kill` kills a writer, and how many requests `make api-fuzz` makes from the OpenAPI document.
KILLS ?= 1000
REQUESTS ?= 100000

# How much `make differential` asks: zones (SEEDS, from FIRST_SEED on) and questions to each, of each reference server.
SEEDS ?= 4
FIRST_SEED ?= 1
QUESTIONS ?= 4000
# Seconds for each target of `make fuzz-smoke`.
FUZZ_SECONDS ?= 10
# The tests that miri runs: all beside the sources, and whole answers, which pass through every part of the engine.
MIRI_TESTS := --lib --test answers

.PHONY: help run build build-instructions check check-dpdk check-all test e2e differential differential-long kube-test appliance-test loom instructions miri fuzz-smoke bench bench-peers bench-forwarders soak spoof kill api-fuzz \
  fmt clean deps deps-test deps-bench

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
	$(CARGO) test -p ringdns -p ringdns-ffi -p ringdns-dataplane -p ringdns-bench --features ringdns-dataplane/dpdk,ringdns-bench/device --locked

check-all: ## Both of these and loom, with each test run once and each dependency built once
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(PURE) --all-targets --locked -- -D warnings
	$(CARGO) clippy $(ALL) --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PURE) --no-deps --locked
	$(CARGO) test $(TESTS) --locked
	$(CARGO) test $(ALL) --locked --no-run --test e2e --test differential
	@$(MAKE) --no-print-directory loom
	@scripts/check-optional

# Many tests wait for timers and other processes; what they leave of the processors is enough for the release build.
test: deps deps-test ## Everything that CI runs
	@scripts/beside '$(MAKE) --no-print-directory build build-instructions' $(MAKE) --no-print-directory check-all
	@$(MAKE) --no-print-directory instructions e2e differential

e2e: deps-test build ## The built server on virtual devices: REST, dig, dnsperf, malformed frames (root)
	@scripts/run-device-test e2e

differential: deps-test build ## Answers compared with NSD's and Knot's (root; SEEDS=4 QUESTIONS=4000 say how many)
	@SEEDS=$(SEEDS) FIRST_SEED=$(FIRST_SEED) QUESTIONS=$(QUESTIONS) scripts/run-device-test differential

differential-long: ## The same with hundreds of thousands of questions (root)
	@MINUTES_MAX=60 $(MAKE) --no-print-directory differential SEEDS=32 QUESTIONS=16000

kube-test: deps-test build ## Beside a real kube-apiserver with a real etcd (root; some minutes, and a quarter of an hour to build it once)
	@scripts/run-device-test kube

appliance-test: deps-test build ## A virtual machine with NICs of its own: set up, asked through them, put back (root; some minutes)
	@scripts/appliance-test all

loom: ## Every interleaving of the publication
	RUSTFLAGS="--cfg loom" $(CARGO) test --locked -p ringdns-engine --lib --target-dir target/loom loom

build-instructions: # What counts the instructions, and what is counted
	$(CARGO) build --release --locked -p ringdns-bench --bin engine --bin instructions

instructions: deps-test build-instructions ## Count the instructions of each kind of query, and compare with what is recorded
	$(CARGO) run --release --locked -p ringdns-bench --bin instructions

miri: ## The engine under miri, which sees undefined behaviour (nightly Rust by way of rustup)
	@scripts/with-miri miri test --locked -p ringdns-engine $(MIRI_TESTS) --target-dir target/miri

fuzz-smoke: ## Each fuzz target for some seconds, guided by coverage (g++; FUZZ_SECONDS=10; see scripts/fuzz)
	@scripts/fuzz run $(FUZZ_SECONDS)

bench: deps deps-bench build ## Measure all that is claimed, a quarter of an hour: a table, and target/bench/results.json (root)
	rm -f target/bench/results.json
	$(CARGO) run $(BENCH) --bin engine
	$(CARGO) run $(BENCH) --bin instructions
	$(CARGO) run $(BENCH) --bin flood
	$(CARGO) run $(BENCH) --bin recall
	scripts/bench-replay 1000
	scripts/bench-replay 1000000
	scripts/bench-scaling
	scripts/bench-device load
	scripts/bench-device change
	scripts/reference-server fetch
	scripts/bench-device etcd
	scripts/bench-device idle
	scripts/bench-peers
	scripts/bench-forwarders
	@$(CARGO) run --quiet $(BENCH) --bin results

bench-peers: deps deps-bench build ## RingDNS beside Knot, NSD and BIND on a veth pair (root)
	scripts/bench-peers

bench-forwarders: deps deps-bench build ## RingDNS's cache beside dnsmasq's, Unbound's and dnsdist's on a veth pair (root)
	scripts/bench-forwarders

soak: deps deps-bench build ## Publish under load for SOAK_SECONDS (600), every answer checked (root)
	scripts/bench-device soak $(SOAK_SECONDS)

spoof: deps-test build ## Forge FORGERIES (1000000) answers to what is asked of a slow upstream: none is taken (root)
	@RINGDNS_TEST_FORGERIES=$(FORGERIES) scripts/run-device-test e2e forward::spoofed

kill: deps ## Kill a writer of the store KILLS times (1000): what was acknowledged is there, nothing by half
	RINGDNS_TEST_KILLS=$(KILLS) $(CARGO) test --release --locked -p ringdns-controlplane --lib -- --nocapture store::kill

api-fuzz: deps ## Make REQUESTS (100000) requests from the OpenAPI document, right and broken, and check every answer
	RINGDNS_TEST_REQUESTS=$(REQUESTS) $(CARGO) test --release --locked -p ringdns-controlplane --test plane -- --nocapture openapi::

fmt: ## Format the code
	$(CARGO) fmt --all

clean: ## Remove what was built
	$(CARGO) clean

deps: # What building and running needs
	@scripts/install-deps build run

deps-test: # What the outer tests need on top
	@scripts/install-deps test
	@scripts/reference-server fetch

deps-bench: # What the benches need on top
	@scripts/install-deps bench
