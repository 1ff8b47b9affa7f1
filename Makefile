# The everyday commands. `.ci/run` uses the same targets.
.PHONY: help build run test faults upgrade-test check lint format edges names links guarantees licences advisories dockerfile fuzz-check docs doc bench schemathesis openapi ci

help: ## Lists the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## Builds the router in debug mode
	cargo build --locked

run: ## Runs the router on its embedded settings: SQLite, and a sandbox of providers
	cargo run --release --locked

test: ## Runs every test
	cargo test --workspace --locked

faults: ## Runs the bad days at length: VUMI_FAULTS_ROUNDS, VUMI_FAULTS_SECONDS
	VUMI_FAULTS_ROUNDS=$${VUMI_FAULTS_ROUNDS:-100} VUMI_FAULTS_SECONDS=$${VUMI_FAULTS_SECONDS:-60} \
	  cargo test --release --locked --test faults -- --nocapture

upgrade-test: ## Runs the version before on this one's tables, beside it and after it; builds it once
	.ci/upgrade

check: format edges names links guarantees lint doc ## Checks everything but the tests

format: ## Checks the format
	cargo fmt --all --check

edges: ## Checks who may depend on whom
	.ci/edges

names: ## Checks the names: none of the old words, one meaning for each type
	.ci/names

links: ## Checks the links between the documents
	.ci/links

guarantees: ## Checks that the tests are there that docs/guarantees.md names
	.ci/guarantees

licences: ## Checks the licences of the dependencies (cargo-deny)
	cargo deny --all-features check licenses bans sources

advisories: ## Looks for known vulnerabilities of the dependencies (cargo-deny), where their database can be fetched
	.ci/advisories

dockerfile: ## Lints the Dockerfile
	.ci/dockerfile

lint: ## Lints with clippy; warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings

fuzz-check: ## Compiles the fuzz targets, without libFuzzer
	CUSTOM_LIBFUZZER_PATH=/dev/null cargo check --manifest-path fuzz/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" \
	  --locked --quiet

docs: ## Writes docs/settings.md from the settings structs
	cargo run --locked --quiet -- settings docs > docs/settings.md.new && mv docs/settings.md.new docs/settings.md

doc: ## Builds the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

bench: ## Measures speed and memory
	cargo bench --locked

schemathesis: build ## Tests the HTTP API against its own description
	.ci/schemathesis

openapi: build ## Lints the HTTP API's description (Redocly, Spectral)
	.ci/openapi

ci: ## What decides about a change
	.ci/run
