# Two commands: `make up` builds everything and starts a cluster in the foreground; `make test` installs what the tests
# need and runs them all. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_INCREMENTAL ?= 1
export CARGO_TERM_PROGRESS_WHEN ?= never

BIN := target/release/portcullis
ARGS ?=
SECONDS ?= 600
TARGETS ?=
# How often a suite is tried. One that fails and then passes is named at the end: it or the server is not sound.
TRIES ?= 1

# Every tests/NAME/run.sh drives the real binary with a real client: `make test-NAME` runs one. The fastest come first,
# and the behaviour corpus, which takes minutes, last.
SUITES := $(filter-out corpus,$(patsubst tests/%/run.sh,%,$(wildcard tests/*/run.sh))) corpus

.PHONY: help deps test-deps guests build build-tests up test test-all test-host test-guests robustness-tool examples soak bench \
	fuzz fmt lint clean \
	$(SUITES:%=test-%)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

deps: ## what the build needs beyond git and Rust
	@scripts/deps.sh build

test-deps: ## what the tests need (kubectl, helm, etcd, clients, toolchains of policies)
	@scripts/deps.sh build test

guests: deps ## the first-party components and the test guests, as target/guests/*.wasm
	@scripts/build-guests.sh

build: guests ## everything; leaves target/release/portcullis
	cargo build --release --locked -p portcullis
	$(BIN) plugin precompile

# The binary and all tests in one go: Cargo picks features for the packages that it is asked for, and would compile many
# dependencies twice if it were asked twice.
build-tests: guests
	cargo build --release --locked --workspace --bins --tests \
		--example test-guests --example vectors
	$(BIN) plugin precompile

up: build ## build, then run a whole cluster in the foreground; flags in ARGS="--bind …"
	exec $(BIN) up $(ARGS)

test: test-deps ## every test
	@rm -f target/unsound
	@$(MAKE) --no-print-directory BUILD=build-tests test-all
	@echo "all tests passed$$([ ! -s target/unsound ] || echo ", these only when tried again: $$(xargs < target/unsound)")"

# What the tests are run with: the binary alone where one suite is run, everything where all are.
BUILD ?= build

test-all: test-guests test-host $(SUITES:%=test-%)

test-host: $(BUILD) ## unit and integration tests of the host crates
	cargo test --release --locked --workspace --bins --tests

test-guests: guests ## the policies' own logic, natively
	cd plugins && cargo test --locked --workspace

$(SUITES:%=test-%): test-%: $(BUILD)
	@scripts/suite.sh $* $(TRIES)

test-robustness soak: robustness-tool
test-plugins test-languages: examples

# Building all tests has built it.
robustness-tool: $(BUILD)
	[ $(BUILD) = build-tests ] || cargo build --release --locked -p portcullis -p portcullis-robustness

examples: $(BUILD)
	[ $(BUILD) = build-tests ] || cargo build --release --locked -p portcullis -p portcullis-policy -p portcullis-tape \
		--bins --example test-guests --example vectors

soak: ## clients and faults for SECONDS_=14400 seconds, and a checker of what came of it
	tests/robustness/soak.sh

bench: build ## figures, not tests
	cargo bench --workspace --bench '*'

fuzz: deps ## fuzz every target for SECONDS=600 each, on one core; some of them with TARGETS="cel json"
	@scripts/deps.sh fuzz
	@fuzz/run.sh $(SECONDS) $(TARGETS)

fmt: ## format
	cargo fmt --all
	cd plugins && cargo fmt --all

lint: guests ## what a reviewer would ask for first
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

clean: ## throw the builds away
	rm -rf target plugins/target
