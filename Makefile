# The whole vocabulary of this checkout. Every target first installs what it needs, and only when the lock changed:
# once installed, none of them needs a network.

UV_VERSION := 0.9.30
TOOLS := .tools/uv-$(UV_VERSION)
UV := $(TOOLS)/bin/uv
BIN := .venv/bin

# The first Python that uv.lock is made for. Another one: `make up PYTHON=/path/to/python`.
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
  "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14)); ' 2>/dev/null \
  && "$$name" -c 'import sys; print(sys.executable)' && break; done)

# From the user's environment only how to reach a package index is taken: no other option of pip's or uv's, no other
# virtual environment.
REACH := PIP_CERT PIP_CLIENT_CERT PIP_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST \
  PIP_CACHE_DIR PIP_DEFAULT_TIMEOUT PIP_CONFIG_FILE UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL \
  UV_FIND_LINKS UV_NATIVE_TLS UV_INSECURE_HOST UV_CACHE_DIR UV_HTTP_TIMEOUT UV_CONFIG_FILE UV_KEYRING_PROVIDER
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH \
  $(filter-out $(REACH) UV_VERSION,$(filter PIP_% UV_%,$(.VARIABLES)))
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

FIND_POSTGRES := 'from blocks.postgres_binaries import find_postgres_binaries; find_postgres_binaries()'
SYNC := $(UV) sync --frozen --inexact --no-default-groups --no-managed-python --no-python-downloads

.DEFAULT_GOAL := help
.PHONY: up down status test lint bench prove help
.SUFFIXES:

up: .venv/.group-local  ## Start everything on this machine and make the environment dev; again: changes nothing.
	@$(BIN)/python -m deployments.local up

down: .venv/.group-local  ## Stop everything; what is in .terrarium stays.
	@$(BIN)/python -m deployments.local down

status: .venv/.group-local  ## Show what runs, where, and whether it is healthy.
	@$(BIN)/terrarium status

test: .venv/.group-local .venv/.group-test  ## Run the whole suite but bench and proofs.
	@$(BIN)/pytest -n 2 --dist loadgroup tests/unit tests/integration tests/flows tests/e2e

lint: .venv/.group-local .venv/.group-test .venv/.group-lint  ## Check style, types, imports, the Terraform code and the manifests.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m deployments.local.lint_terraform
	@$(UV) run --quiet --frozen --no-python-downloads --project infra/checkov \
	  checkov --directory infra/terraform --framework terraform --compact --quiet --skip-download \
	  --var-file tests/integration/infra/production.tfvars.json
	@$(UV) run --quiet --frozen --no-python-downloads --project infra/checkov \
	  checkov --config-file infra/checkov/shipping.yaml

bench: .venv/.group-local .venv/.group-test  ## Measure what is promised, a line name=value each; one of them: ONLY=name.
	@$(BIN)/pytest tests/bench -s $(if $(ONLY),-k "$(ONLY)")

prove: .venv/.group-local .venv/.group-test  ## Run the long proof of a pipeline and write its page: PIPELINE=name.
	@$(if $(PIPELINE),,echo "Name a pipeline: make prove PIPELINE=provision" >&2; exit 2;) \
	  $(BIN)/pytest tests/proofs/test_$(PIPELINE).py -s

help:  ## List these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One stamp for each group of uv.lock. PostgreSQL's programs come from the system, else from the locked wheel.
.venv/.group-%: pyproject.toml uv.lock | $(UV)
	@echo "Installing what uv.lock says for: $*."
	@$(SYNC) --quiet --python "$(PYTHON)" --group $*
	@$(BIN)/python -c $(FIND_POSTGRES) 2>/dev/null || $(SYNC) --python "$(PYTHON)" --group $* --group postgres
	@touch $@

$(UV):
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.13 was found on PATH. Install one (Debian: apt-get install \
	python3 python3-venv), or name it: make up PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(TOOLS) || { echo "$(PYTHON) cannot make a virtual environment. Install its venv module \
	(Debian: apt-get install python3-venv), or name another Python: make up PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(TOOLS)/bin/python -m pip install --quiet uv==$(UV_VERSION)
