# Names for what scripts/ and cargo do; no logic here.

.PHONY: demo test bench check fmt deny

demo: ## build, start a server, train examples/digits
	scripts/demo

test: ## everything that CI runs
	scripts/test

bench: ## what the product is measured by: one table, also in target/bench.md
	scripts/bench

check: ## the fast half, while working
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt:
	cargo fmt --all

deny: ## licences, banned crates, advisories (cargo install --locked cargo-deny)
	cargo deny check
