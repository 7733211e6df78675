# What a developer types here. Needs a Linux machine with make and Python 3.11 or newer, and nothing else.
#
# Everything is installed below .venv: uv in .venv/uv (a fast installer; pip does it where uv cannot),
# what the demo needs in .venv/demo, what the tests need in .venv/dev. A second run installs nothing
# unless pyproject.toml or the package changed.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Targets end in stamp files: a half-made one must not count.
.DELETE_ON_ERROR:

# make test PYTHON=python3.12 takes that one.
PYTHON ?=
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)

DEMO := .venv/demo
DEV := .venv/dev
# -P keeps the working directory off the path: what is tested is the installed package, not the source tree.
RUN := $(DEV)/bin/python -P -m
# One more than there are cores, since many tests mostly wait; of a large machine, four.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores < 4 ? cores + 1 : 4)))

below = $(foreach each,$(wildcard $(1)/*),$(each) $(call below,$(each)))
SOURCES := $(filter-out %.pyc %__pycache__,$(call below,airflow_provider_sms)) README.md

.PHONY: help demo test docs lint bench torture clean

help:
	@echo "make demo    a campaign against the built-in sandbox, its tables and report in demo-output/"
	@echo "make test    lint, types, import contracts, docs and tests of the installed package"
	@echo "make lint    ruff, mypy and the import contracts alone"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make bench   the performance table, with QUICK=1 in short; see docs/performance.md"
	@echo "make torture the proofs of the promises in their long form, SIZE=0.02 for a look; see docs/delivery-promises.md"
	@echo "make clean   remove everything that make made"

demo: $(DEMO)/.package
	@$(DEMO)/bin/python -P example_dags/run_demo.py --output demo-output

test:
	@$(MAKE) --jobs=2 --output-sync=target lint docs
	@echo "== pytest"
	@$(RUN) pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: $(DEV)/.package
	@echo "== ruff check"
	@$(RUN) ruff check .
	@echo "== ruff format --check"
	@$(RUN) ruff format --check .
	@echo "== mypy"
	@$(RUN) mypy
	@echo "== import contracts"
	@$(DEV)/bin/lint-imports

docs: $(DEV)/.package
	@echo "== docs, warnings are errors"
	@$(RUN) sphinx -W --keep-going -n -q -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(DEV)/.package ## BENCH_ARGS="--only P1 --runs 3 --lenient" for a part of it
	@$(DEV)/bin/python benchmarks/run.py $(if $(QUICK),--quick) $(BENCH_ARGS)

torture: $(DEV)/.package ## TORTURE_ARGS="--only R1 R6 --seed 2 --json torture.json --resume" for a part of it
	@$(DEV)/bin/python benchmarks/torture/run.py $(if $(SIZE),--size $(SIZE)) $(TORTURE_ARGS)

clean:
	rm -rf .venv build dist demo-output docs/_build docs/_generated
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache

# --- environments ----------------------------------------------------------------------------------

# The package itself, built and installed as users get it.
$(DEMO)/.package $(DEV)/.package: %/.package: %/.dependencies $(SOURCES)
	@echo "== installing this package into $*"
	@$(call install,$*,--no-deps --reinstall,--no-deps --force-reinstall,.)
	@touch $@

$(DEMO)/.dependencies: EXTRAS = demo
$(DEV)/.dependencies: EXTRAS = dev

$(DEMO)/.dependencies $(DEV)/.dependencies: %/.dependencies: pyproject.toml .venv/uv/.ready
	@echo "== installing Airflow and what $* needs (the first time this takes some minutes)"
	@rm -rf $*
	@.venv/uv/bin/python -m venv --without-pip $*
	@$(call install,$*,,,.[$(EXTRAS)])
	@touch $@

# $(call install,environment,options of uv,options of pip,what). uv does not read pip's configuration, so it
# is told the index and the certificates that pip uses; where uv fails for whatever reason, pip has the word.
pip_option = $$(.venv/uv/bin/python -m pip config list | sed -n "s/^[a-z:]*\.$(1)='\(.*\)'$$/\1/p" | sed -n 1p)
define install
index="$(call pip_option,index-url)"; cert="$(call pip_option,cert)"; \
if [ -x .venv/uv/bin/uv ] && \
	env UV_SYSTEM_CERTS=true $${index:+UV_DEFAULT_INDEX="$$index"} $${cert:+SSL_CERT_FILE="$$cert"} \
	.venv/uv/bin/uv pip install -q --python $(1)/bin/python --compile-bytecode $(2) '$(4)'; \
then :; else \
	echo "== uv could not do it; once more with pip, which is slower"; \
	.venv/uv/bin/python -m pip --python $(1)/bin/python install -q --disable-pip-version-check $(3) '$(4)'; \
fi
endef

.venv/uv/.ready:
	@echo "== making .venv"
	@rm -rf .venv/uv
	@python=; for name in $(CANDIDATES); do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { python=$$name; break; }; \
	done; \
	[ -n "$$python" ] || { echo "This needs Python 3.11 or newer; there is none under the names: $(CANDIDATES)." \
		"Name one: make PYTHON=/path/to/python" >&2; exit 1; }; \
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || { echo "$$python lacks the module venv: on Debian and" \
		"Ubuntu install the package python3-venv (apt install python3-venv)." >&2; exit 1; }; \
	"$$python" -m venv .venv/uv
	@.venv/uv/bin/python -m pip install -q --disable-pip-version-check uv || echo "== no uv to be had; pip will do"
	@touch $@
