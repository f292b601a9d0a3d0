# What one does with Forebay from a checkout. `make test` is what must hold
# before a change goes in.

CARGO ?= cargo
SUITE ?=
SUITE_TEST := passes_the_http_cache_tests_suite

.DEFAULT_GOAL := help
.PHONY: help run test fmt lint unit e2e conformance conformance-current docs fuzz \
	bench-codings bench-compress bench-routes bench-tiers to-build to-test

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# A dependency is built with cmake. The tests run Node for the conformance suite, Chromium and curl
# as clients, and Redis servers of their own.
to-build:
	@.ci/need cargo=cargo cc=gcc c++=g++ cmake=cmake

to-test: to-build
	@.ci/need node=nodejs npm=npm chromium=chromium curl=curl redis-server=redis-server

run: to-build ## Run the demo: a sample origin, the edge before it, the admin listener
	$(CARGO) run -p forebay -- demo

# The suite measures seconds, so nothing else runs beside it.
test: to-test fmt lint ## Check the format, the lints and every test
	@echo "== tests: unit, end to end"
	$(CARGO) test --workspace -- --skip $(SUITE_TEST)
	@echo "== the HTTP cache conformance suite"
	$(MAKE) --no-print-directory conformance

fmt: ## Check the format (repair it with cargo fmt)
	@echo "== format"
	$(CARGO) fmt --all -- --check

lint: to-build ## Check the lints
	@echo "== lints"
	$(CARGO) clippy --workspace --all-targets -- -D warnings

unit: to-build ## Run the tests inside the crates only
	$(CARGO) test --workspace --lib --bins

e2e: to-test ## Run the end-to-end tests without the conformance suite
	$(CARGO) test -p forebay --test e2e -- --skip $(SUITE_TEST)

conformance: to-test ## Run the released HTTP cache conformance suite
	$(CARGO) test -p forebay --test e2e -- --nocapture $(SUITE_TEST)

# The current suite is a checkout of the repository http-tests/cache-tests.
conformance-current: ## Run the current suite: make conformance-current SUITE=../cache-tests
	@test -n "$(SUITE)" || { echo "say where the checkout is: SUITE=../cache-tests"; exit 2; }
	$(CARGO) build -p forebay
	node tests/conformance/run.mjs --suite "$(SUITE)" --forebay target/debug/forebay \
		--expected tests/conformance/expected-non-passes-current.txt

bench-codings: to-build ## Measure how fast and how small the content codings are made
	$(CARGO) bench -p forebay --bench codings -- --sample-size 10 --measurement-time 2

bench-compress: to-build ## Measure compressed answers against nginx: hits, cold, and bytes
	@.ci/need nginx=nginx wrk=wrk curl=curl brotli=brotli openssl=openssl
	$(CARGO) build --release -p forebay
	benches/compress.sh

bench-routes: ## Measure how long it takes to find a route among many
	$(CARGO) bench -p forebay-config --bench routes

bench-tiers: to-build ## Measure look-ups in each tier, a purge among a million, and a start
	$(CARGO) bench -p forebay --bench tiers

docs: ## Write config/REFERENCE.md and config/schema.json anew
	UPDATE=1 $(CARGO) test -p forebay-config --test reference fresh

fuzz: ## Run each fuzz target for a minute (needs nightly Rust and cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "needs: cargo install cargo-fuzz"; exit 2; }
	@for target in $$($(CARGO) +nightly fuzz list); do \
		echo "== $$target"; \
		$(CARGO) +nightly fuzz run $$target -- -max_total_time=60 || exit 1; \
	done
