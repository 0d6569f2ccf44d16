# Everything below sets itself up: a virtual environment in .venv, pinned packages, and no step twice.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
TORCH := 2.13.0
PINNED := all,audit,fuzz,lint,mlflow,mutants,test,textattack
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
READY := $(VENV)/.ready
RECIPE := pyproject.toml constraints.txt | $(READY)

.PHONY: help quickstart test test-slow test-tf5 coverage lint docs bench fuzz mutants audit leaderboard constraints clean

help:  ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

quickstart: $(READY)-quickstart  ## a robustness table: a real transformer on real movie reviews, in minutes, offline
	$(BIN)/robustbench-nlp run --dataset mr --victim minilm-mr --defenses none,spell,typo-augmentation \
	    --attacks random-typos,deepwordbug,pwws,worst-case --limit 200 --output runs/quickstart

test: $(READY)-test  ## the tests that take minutes
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: $(READY)-test  ## the tests that train models or run other libraries at length
	$(BIN)/python -m pytest -q -m slow

test-tf5: $(VENV)-tf5/.ready  ## the fast tests under transformers 5, without TextAttack, in an environment of its own
	$(VENV)-tf5/bin/python scripts/measured_at.py
	$(VENV)-tf5/bin/python -m pytest -q -m "not slow"

coverage: $(READY)-test  ## how much of the package the fast tests run; fails below 90 %
	$(BIN)/python scripts/measured_at.py
	$(BIN)/python -m coverage run -m pytest -q -m "not slow"
	$(BIN)/python -m coverage report

lint: $(READY)-lint  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)-test  ## the API reference from docstrings: build/docs/index.html
	$(BIN)/python scripts/build_api_docs.py

bench: $(READY)-test  ## every benchmark with a bar, and a published ensemble: an hour; fails where a bar was missed
	$(BIN)/robustbench-nlp fetch nltk-data mlm minilm-mr
	missed=; for script in "overhead.py --textattack" startup.py noise.py vs_textattack.py roofline.py standard.py; do \
	    $(BIN)/python benchmarks/$$script || missed+=" $${script%% *}"; done; \
	    [ -z "$$missed" ] || { echo "bars missed or failed:$$missed" >&2; exit 1; }

leaderboard: $(READY)-test  ## every victim × defense under an ensemble becomes an entry of results/leaderboard: hours; ENSEMBLE=standard-1, VICTIMS=..
	$(BIN)/python scripts/seed_leaderboard.py --ensemble $(or $(ENSEMBLE),fast-1) $(if $(VICTIMS),--victims $(VICTIMS))
	$(BIN)/robustbench-nlp report --leaderboard

fuzz: $(READY)-fuzz  ## readers, texts, edits and reports under hostile inputs, by coverage: results/fuzz, in some twenty minutes
	$(BIN)/python scripts/fuzz.py

mutants: $(READY)-mutants  ## how many planted faults in statistics, referee and threats the tests notice: the score, in minutes
	$(BIN)/python scripts/mutation_score.py

audit: $(READY)-audit  ## the packages of both files of constraints against known advisories
	$(BIN)/python scripts/audit.py

$(READY):
	@command -v $(PYTHON) > /dev/null || { echo "no $(PYTHON) here: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed; name one: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The constraints pin everything, torch to a release that is a CPU build where only a package index is reachable.
$(READY)-quickstart: $(RECIPE)
	$(INSTALL) -c constraints.txt -e '.[embedded,plots,spell,stats]'
	@touch $@

$(READY)-test: $(RECIPE)
	$(INSTALL) -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)-tf5/.ready: pyproject.toml constraints-tf5.txt | $(READY)
	$(PYTHON) -m venv $(VENV)-tf5
	$(VENV)-tf5/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-tf5.txt -e '.[test-tf5]'
	@touch $@

$(READY)-fuzz: $(RECIPE)
	$(INSTALL) -c constraints.txt -e '.[fuzz]'
	@touch $@

$(READY)-audit: $(RECIPE)
	$(INSTALL) -c constraints.txt 'pip-audit'
	@touch $@

$(READY)-mutants: $(RECIPE)
	$(INSTALL) -c constraints.txt -e '.[mutants,test]'
	@touch $@

$(READY)-lint: $(RECIPE)
	$(INSTALL) -c constraints.txt -e '.[lint,test]'
	@touch $@

# $(call pinned,EXTRAS,FILE,REMARK): an environment of the newest releases that go together becomes a file of constraints.
define pinned
	rm -rf $(VENV)-constraints
	$(PYTHON) -m venv $(VENV)-constraints
	$(VENV)-constraints/bin/python -m pip install --quiet torch==$(TORCH) -e '.[$(1)]'
	$(VENV)-constraints/bin/python -m pip check
	{ echo '# Every package of [$(1)], pinned for CPython 3.11$(3); made by `make constraints`.'; \
	  $(VENV)-constraints/bin/python -m pip freeze --all --exclude-editable | sed -E '/^pip==/d; s/\+cpu$$//'; } > constraints.part
	mv constraints.part $(2)
	rm -rf $(VENV)-constraints
endef

constraints:  ## constraints.txt and constraints-tf5.txt anew, from the newest releases that go together
	$(call pinned,$(PINNED),constraints.txt)
	$(call pinned,test-tf5,constraints-tf5.txt,: transformers 5 without TextAttack)

clean:  ## remove the environment and what tools left behind; runs/ and the cache folder stay
	rm -rf $(VENV) $(VENV)-constraints $(VENV)-tf5 build mutants dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis constraints.part
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
