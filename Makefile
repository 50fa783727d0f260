# One door to everything. `make demo` and `make test` set up what they need in .venv; later calls are quick.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LAVA   := lava-nc==0.10.0

# What the compiled kernels are built from: their sources, and the neuron definitions their updates are generated from.
KERNELS := $(wildcard kernels/*.pyx kernels/*.pxd kernels/*.h) setup.py backends/cpu/codegen.py backends/cpu/rulegen.py ir/printers/c.py ir/printers/c_step.py ir/printers/c_rules.py $(wildcard ir/plasticity/*.py) \
           $(wildcard ir/neurons/*.py) ir/model.py ir/integrators.py ir/folding.py ir/usual.py ir/linear.py ir/expressions.py ir/program.py \
           ir/units.py ir/dimensions.py

.PHONY: help demo test coverage lint sanitize bench install clean

help:
	@echo "make demo     train digits, convert, run on reference, cpu and lava, compare spike by spike"
	@echo "make test     the whole test suite"
	@echo "make coverage the whole test suite, and how many of the branches of the Python code it takes"
	@echo "make lint     ruff and mypy (strict)"
	@echo "make sanitize the kernels under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make bench    the benchmarks, each against the reference backend, the machine, or Brian2 where it is installed"
	@echo "make install  only the set-up in $(VENV)"
	@echo "make clean    remove builds and caches (not $(VENV))"

demo: install
	$(BIN)/neurocomp demo

test: install
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# In all processes (see pyproject.toml). Fails where a test does, or below 92 %, of lines and branches together or of branches alone.
coverage: install
	rm -rf build/coverage && mkdir -p build/coverage
	failed=0; $(BIN)/coverage run -m pytest -n 2 --dist loadgroup || failed=$$?; \
	$(BIN)/coverage combine -q && $(BIN)/coverage report || failed=$$?; \
	$(BIN)/coverage json -q --fail-under 0 -o build/coverage/report.json; \
	$(BIN)/python -c 'import json, sys; x = json.load(open("build/coverage/report.json"))["totals"]; share = x["percent_branches_covered"]; print("branches alone: %d of %d, %.2f %%" % (x["covered_branches"], x["num_branches"], share)); sys.exit(share < 92)' \
	    || failed=$$?; exit $$failed

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A build of its own in build/sanitize; the tests of bad arguments, and some networks, run on it. One test is left out: it reads files in
# a process of its own, whose limit of memory the sanitizer exceeds.
sanitize: install
	NC_SANITIZE=1 $(BIN)/python setup.py -q build --build-base build/sanitize --build-lib build/sanitize/lib build_ext -j2
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	PYTHONPATH=build/sanitize/lib PYTHONSAFEPATH=1 LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/kernels/test_bad_arguments.py tests/kernels/test_calendar.py tests/kernels/test_engine_checks.py \
	    tests/test_program.py tests/plasticity/test_reward.py \
	    --deselect tests/kernels/test_calendar.py::test_what_is_on_its_way_survives_pieces_resets_and_files

bench: install
	$(BIN)/python benchmarks/cuba.py
	$(BIN)/python benchmarks/neurons.py
	$(BIN)/python benchmarks/cobahh.py
	$(BIN)/python benchmarks/stdp.py
	$(BIN)/python benchmarks/networks.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/microcircuit.py --scale 0.1

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(KERNELS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "neurocomp needs Python 3.11 or newer, and $(PYTHON) is older; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip "setuptools>=77" "Cython>=3.1" "numpy>=2.0"
	$(BIN)/python -m pip install -q --no-build-isolation -e ".[dev]"
	$(BIN)/python -m pip install -q --no-deps --ignore-requires-python $(LAVA)
	@touch $@

clean:
	rm -rf build dist *.egg-info kernels/*.so kernels/updates.pyx kernels/rules.pyx .mypy_cache .ruff_cache .pytest_cache .hypothesis
