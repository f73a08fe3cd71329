# Two commands: `make up` builds everything and starts a cluster in the foreground; `make test` installs what the tests
# need and runs them all. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_INCREMENTAL ?= 1
export CARGO_TERM_PROGRESS_WHEN ?= never

BIN := target/release/portcullis
ARGS ?=

.PHONY: help deps test-deps guests build up test test-host test-guests test-clients corpus bench fmt lint clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

deps: ## what the build needs beyond git and Rust
	@scripts/deps.sh build

test-deps: ## what the tests need (kubectl, the Python client)
	@scripts/deps.sh build test

guests: deps ## the first-party components and the test guests, as target/guests/*.wasm
	@scripts/build-guests.sh

build: guests ## everything; leaves target/release/portcullis
	cargo build --release --locked -p portcullis

up: build ## build, then run a whole cluster in the foreground; flags in ARGS="--bind …"
	exec $(BIN) up $(ARGS)

test: test-deps test-guests test-host test-clients corpus ## every test
	@echo "all tests passed"

test-host: build ## unit and integration tests of the host crates
	cargo test --release --locked --workspace

test-guests: guests ## the policies' own logic, natively
	cd plugins && cargo test --locked --workspace

test-clients: build ## kubectl and the Python client against the binary
	tests/clients/run.sh

corpus: build ## the behaviour corpus, where its folder is present
	tests/corpus/run.sh

bench: build ## figures, not tests
	cargo bench --workspace

fmt: ## format
	cargo fmt --all
	cd plugins && cargo fmt --all

lint: guests ## what a reviewer would ask for first
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

clean: ## throw the builds away
	rm -rf target plugins/target
