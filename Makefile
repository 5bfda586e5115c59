# `make` alone says what there is. Options:
#
#   PYTHON=python3.12   the Python of .venv (setup and all that need it)
#   PYTHONS="3.11 3.13" the versions that `make test` takes; all must be there
#   ARGS="..."          arguments for pytest, the fuzzer, the demonstration or the benchmark

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help setup test fuzz lint demo bench bench-loss bench-flood clean

export PYTHON

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the two programs need: system packages, and .venv
	@tools/setup.sh run >/dev/null

test: ## set up and run the tests, on each Python of 3.11 to 3.15 that is here, side by side
	@pythons=$$(tools/setup.sh test $(PYTHONS)) && set -- $$pythons && \
	exec "$$1" tools/test.py "$$@" -- $(ARGS)

fuzz: ## make up datagrams for a minute, and see that nothing breaks
	@tools/setup.sh fuzz >/dev/null
	@.venv/bin/python -m fuzz $(ARGS)

lint: ## check style, format and types
	@tools/setup.sh lint >/dev/null
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy .

demo: setup ## broadcast to a listener on this machine
	@.venv/bin/python tools/demo.py $(ARGS)

bench: setup ## measure
	@.venv/bin/python -m bench $(ARGS)

bench-loss: ## measure what is heard over a network that loses, and draw it in docs/
	@tools/setup.sh bench >/dev/null
	@.venv/bin/python -m bench.loss --picture docs/loss.png $(ARGS)

bench-flood: setup ## measure what listeners notice of floods of datagrams
	@.venv/bin/python -m bench.flood $(ARGS)

clean: ## remove everything that was made, the environments too
	rm -rf .venv .venv-3.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build *.egg-info \
		logs/*.log* demo.wav demo.html
	find . -name __pycache__ -prune -exec rm -rf {} +
