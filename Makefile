# Everything sets itself up: each target first makes `.venv` what the lock file says.
PYTHON ?= python3
BIN := .venv/bin
PY_SOURCES := layers/core/python functions infra tests
# How many processes run the tests (auto: one for each core, two at most); 0: none beside pytest's own.
# tests/conftest.py says what stays together, and in which order they begin. A process that dies ends the run.
WORKERS ?= 0
PYTEST_PARALLEL := -n $(WORKERS) --maxprocesses 2 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
TEMPLATES := template.yaml $(wildcard infra/*.yaml infra/recipes/*.yaml)

.PHONY: setup demo demo-ascend smoke-modelarts up down test lint unit e2e bench format audit sbom build images chroot clean help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## prepare .venv (uv, locked dependencies, git-lfs, chromium)

.venv/.ready: pyproject.toml uv.lock infra/local/setup.py
	@$(PYTHON) infra/local/setup.py
	@touch $@

demo: setup ## the main job: push, train, evaluate, then fine-tune from a form
	@$(BIN)/python -m infra.local demo

demo-ascend: setup ## LeNet-5 by way of an embedded ModelArts; a CPU stands for the card
	@$(BIN)/python -m infra.local demo-ascend

smoke-modelarts: setup ## one small run at a real account of Huawei Cloud (HUAWEI_AK, ...); it costs money
	@PYTHONPATH=.:tests $(BIN)/python -m tests.smoke.modelarts

up: setup ## start the embedded stack; its state is kept
	@$(BIN)/python -m infra.local up

down: ## stop the embedded stack
	@test -x $(BIN)/python || { echo "nothing is set up here"; exit 0; }; $(BIN)/python -m infra.local down

test: lint unit ## lint and every test

lint: setup ## ruff, mypy, cfn-lint, hadolint, shellcheck, sam validate
	$(BIN)/ruff check $(PY_SOURCES)
	$(BIN)/ruff format --check $(PY_SOURCES)
	$(BIN)/mypy layers/core/python/trainyard
	$(BIN)/cfn-lint $(TEMPLATES)
	$(BIN)/hadolint --config infra/images/.hadolint.yaml infra/images/*/Dockerfile
	$(BIN)/shellcheck .ci/run infra/images/push infra/recipes/*.sh infra/local/githost/hooks/*.sh layers/*/compile.sh
	SAM_CLI_TELEMETRY=0 $(BIN)/sam validate --lint --region us-east-1 --template template.yaml

unit: setup ## pytest: unit, contracts, functions, e2e
	$(BIN)/pytest $(PYTEST_PARALLEL)

e2e: setup ## only the tests that drive the whole embedded stack
	$(BIN)/pytest -m e2e

bench: setup ## measures, as JSON lines; ONLY="way logs" takes only these
	@PYTHONPATH=.:tests $(BIN)/python -m tests.bench $(ONLY)

format: setup ## ruff's formatter, and the page of the rules
	$(BIN)/ruff format $(PY_SOURCES)
	PYTHONPATH=layers/core/python $(BIN)/python -m trainyard.validation.rules.documentation

audit: setup ## known vulnerabilities of the locked packages (pip-audit; needs the network)
	@$(BIN)/python infra/local/audit.py

sbom: setup ## what the locked packages are, as CycloneDX JSON on standard output
	@$(BIN)/uv export --frozen --quiet --all-extras --no-default-groups --no-emit-project --format cyclonedx1.5 \
	  --preview-features sbom-export

build: setup ## sam build
	SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build

images: setup ## build and push the images (docker or podman, credentials for the account)
	PATH="$(CURDIR)/$(BIN):$$PATH" infra/images/push

chroot: setup ## the steps of IMAGE=cpu or cuda in a chroot, where there is no engine (root, debootstrap)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m infra.local.chroot $(or $(IMAGE),cpu) .trainyard/chroot

clean: ## remove what was made here, but for the embedded stack's state
	rm -rf .venv .aws-sam .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
