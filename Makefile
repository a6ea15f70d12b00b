PYTHON ?= python3
DATA ?= ../shared/data
RUN ?= .runs/classifier
DETECTOR ?= .runs/detector
# In `make prepare train judge DATA=…`, train and judge use the prepared pictures.
TRAINED_ON = $(if $(filter prepare,$(MAKECMDGOALS)),$(PREPARED),$(DATA))
START ?= --start training/weights/classifier.weights.h5
# The folders with a converted run; a network without one is taken from the serving release.
RUNS = $(if $(wildcard $(RUN)/conversion.json),--run $(RUN)) $(WITH_DETECTOR)
WITH_DETECTOR = $(if $(wildcard $(DETECTOR)/conversion.json),--detector $(DETECTOR))
JOBS ?= 4
VENV := .venv
BIN := $(VENV)/bin
CHECK_PYTHON = @$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("MaskWatch needs Python 3.11 to 3.13: set PYTHON=python3.12, for example")'

.DEFAULT_GOAL := help
.PHONY: help run test test-browser environments check check-python roles format lock train train-detector evaluate release train-baseline bench rehearse clean

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

run: $(VENV)/run.stamp ## Start the whole system on http://127.0.0.1:3000 (PORT=…), no Docker, no AWS account
	@exec $(BIN)/python -m infra.local --port $(or $(PORT),3000)

test: $(VENV)/test.stamp .venv-tflite/stamp .venv-emulator/stamp ## Run every test that needs no Docker (JOBS=4 processes, ARGS=…)
	$(BIN)/python -m pytest tests --ignore tests/container -n $(JOBS) --dist loadgroup --no-loadscope-reorder $(ARGS)

test-browser: $(VENV)/dev.stamp ## Test the page in headless Chromium
	$(BIN)/python -m pytest tests/browser $(ARGS)

check: check-python check-infra ## Lint, formatting, types, infrastructure checks

check-python: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLW1514 .  # files are UTF-8, whatever the locale
	$(BIN)/ruff format --check .
	$(BIN)/mypy

roles: $(VENV)/test.stamp .venv-emulator/stamp ## Remove every permission of every role in turn, and write why it is needed into docs/roles.md
	WRITE_ROLES=1 $(BIN)/python -m pytest tests/emulator/test_roles.py

format: $(VENV)/dev.stamp ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

train: $(VENV)/dev.stamp ## Fine-tune on DATA=folder into RUN=folder (resumes); START= to start from ImageNet
	$(BIN)/python -m training.classifier.train --data $(TRAINED_ON) --out $(RUN) $(START)
	$(BIN)/python -m training.classifier.convert --data $(TRAINED_ON) --run $(RUN) $(WITH_DETECTOR)
	$(MAKE) evaluate DATA=$(TRAINED_ON)

train-detector: $(VENV)/dev.stamp ## Train the face detector on DATA=folder with frames.csv into DETECTOR=folder (resumes)
	$(BIN)/python -m training.detector.train --data $(TRAINED_ON) --out $(DETECTOR) $(DETECTOR_START)
	$(BIN)/python -m training.detector.convert --data $(TRAINED_ON) --run $(DETECTOR)
	$(BIN)/python -m training.detector.evaluate --data $(TRAINED_ON) --run $(DETECTOR)

evaluate: $(VENV)/dev.stamp ## Evaluate the TFLite file of RUN on the test pictures of DATA and write its report
	$(BIN)/python -m training.classifier.evaluate --data $(DATA) --run $(RUN) $(WITH_DETECTOR)
	$(BIN)/python -m training.report --run $(RUN) $(if $(wildcard $(DETECTOR)/metrics.json),--detector $(DETECTOR)) --out $(RUN)/report

release: $(VENV)/dev.stamp ## Write the release of the evaluated RUN (and DETECTOR, if there), VERSION=…, with DATA's baseline, into the image's folder
	@test -d "$(DATA)" || { echo "DATA=folder is missing: name the pictures of the training, such as $(PREPARED)" >&2; exit 1; }
	$(BIN)/python -m training.release --data $(DATA) $(RUNS) --out functions/inference/model --weights training/weights \
	  --version $(VERSION) $(if $(DESPITE),--despite "$(DESPITE)")

train-baseline: $(VENV)/dev.stamp ## Write the drift baseline into the release MODEL=folder, from DATA's validation pictures
	$(BIN)/python -m training.baseline --data $(DATA) --release $(MODEL)

environments: $(VENV)/test.stamp .venv-tflite/stamp .venv-emulator/stamp .venv-checks/stamp .venv-sam/bin/sam ## Install everything for checks and tests

bench: $(VENV)/test.stamp .venv-tflite/stamp ## Measure speed and memory into tests/benchmarks/RESULTS.md
	infra/install.sh $(VENV) -e '.[bench]'
	$(BIN)/python -m tests.benchmarks

rehearse: $(VENV)/test.stamp ## Rehearse drift, retraining, trial, approval, refusal and rollback of a model on this machine
	$(BIN)/python -m tests.rehearsal

lock: $(VENV)/dev.stamp ## Pin the deployed packages with hashes (UPGRADE=1 for the newest versions)
	for folder in functions/* training docs/watch infra/sam; do \
	  [ ! -f $$folder/requirements.in ] || $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --generate-hashes --no-header \
	    --no-emit-index-url --python-version 3.11 $$folder/requirements.in -o $$folder/requirements.txt; \
	done

clean: ## Remove what make made
	rm -rf $(VENV) .venv-* .aws-sam .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/uv:
	$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(VENV)/run.stamp: functions/inference/requirements.txt functions/portal/requirements.txt pyproject.toml | $(BIN)/uv
	infra/install.sh $(VENV) $(foreach file,$(filter %.txt,$^),-r $(file))
	infra/install.sh $(VENV) -e '.[local]'
	touch $@

$(VENV)/drift.stamp: $(VENV)/run.stamp  # separate, because Evidently is 700 MB that `make run` does not need
	infra/install.sh $(VENV) -e '.[local,drift]'
	touch $@

$(VENV)/test.stamp: $(VENV)/aws-training.stamp
	infra/install.sh $(VENV) -e '.[local,dev,training,aws-training,drift]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	infra/install.sh $(VENV) -e '.[local,dev,training]'
	touch $@

.venv-tflite/stamp: | $(BIN)/uv  # the runtime's predecessor, which requires Python 3.11 and numpy 1
	@if python3.11 -m venv .venv-tflite; then infra/install.sh .venv-tflite tflite-runtime==2.14.0 numpy==1.26.4 pillow simplejpeg; \
	  else echo "SKIPPED: tflite-runtime needs python3.11"; fi
	@mkdir -p $(@D) && touch $@

.venv-emulator/stamp: Makefile | $(BIN)/uv  # an emulator of AWS, for tests/emulator; separate, because it pins botocore
	@if $(BIN)/python -m venv .venv-emulator && infra/install.sh .venv-emulator ministack==1.5.33; then :; \
	  else echo "SKIPPED: MiniStack cannot be installed here"; rm -rf .venv-emulator; fi
	@mkdir -p $(@D) && touch $@

include infra/deploy.mk
include training/training.mk
