# The commands people type. `make` alone lists them.
# PYTHON=... chooses the interpreter; otherwise the first suitable one is found.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
CODE := service clients/python tools benchmarks tests

.PHONY: help demo run test check format proto bench bench-quick lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: $(VENV)/.installed ## Start everything on this machine, play the main job against it, and end
	@$(BIN)/python -m interlaced.dev.demo

run: $(VENV)/.installed ## The same server without the play; it stays up until Ctrl-C
	@$(BIN)/interlace dev

# What drives one process and no clock but its own runs beside what drives servers, and gives way to it.
BESIDE := tests/broken tests/meta tests/typing tests/unit tests/vectors
test: $(VENV)/.compiled build/servers/.ready build/node/.ready ## Run every test
	@mkdir -p build; nice $(BIN)/python -m pytest --quiet $(BESIDE) >build/tests-beside.log 2>&1 & beside=$$!; \
	  trap 'kill $$beside' INT TERM; \
	  $(BIN)/python -m pytest --quiet $(BESIDE:%=--ignore=%); result=$$?; \
	  wait $$beside || result=$$?; cat build/tests-beside.log; exit $$result

check: $(VENV)/.compiled ## Format, lint, types, import contracts, protos, house rules
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/generate_stubs.py --check
	@$(BIN)/python -m pytest --quiet tests/meta

format: $(VENV)/.ready ## Format the code and the protos
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)
	@cd protos && ../$(BIN)/buf format --write

proto: $(VENV)/.ready ## Generate the stubs into the client package
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/generate_stubs.py

bench: $(VENV)/.compiled build/servers/.ready ## Run every benchmark, and write the report under build/bench
	@$(BIN)/interlace bench codecs
	@$(BIN)/interlace bench service
	@$(BIN)/python -m benchmarks.flames || echo "no flame graphs; the rest of the page is whole"
	@$(BIN)/interlace bench report

bench-quick: $(VENV)/.compiled build/servers/.ready ## The benchmarks that the budgets need, in at most 4 minutes
	@$(BIN)/interlace bench quick

lock: ## Lock the dependencies anew (needs uv)
	@requirements/lock.sh

clean: ## Remove everything that was made here
	rm -f service/interlaced/codecs/*.so
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks

$(VENV)/.created: tools/find_python.sh
	@python="$${PYTHON:-$$(sh tools/find_python.sh)}" && [ -n "$$python" ] && \
	  echo "creating $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements/build.txt requirements/runtime.txt pyproject.toml clients/python/pyproject.toml
	@echo "installing the locked dependencies"
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

$(VENV)/.ready: $(VENV)/.installed requirements/check.txt requirements/test.txt requirements/bench.txt
	@echo "installing the locked tools of checks, tests and benchmarks"
	@$(PIP) --require-hashes -r requirements/check.txt -r requirements/test.txt -r requirements/bench.txt
	@touch $@

# Made again where nothing compiled is there, whatever the stamp says: git clean leaves $(VENV) alone.
ifeq ($(wildcard service/interlaced/codecs/*.so),)
.PHONY: $(VENV)/.compiled
endif
$(VENV)/.compiled: $(VENV)/.ready tools/compile.py service/interlaced/codecs/transcode_times.py service/interlaced/codecs/transcode_wire.py
	@$(BIN)/python tools/compile.py
	@touch $@

build/servers/.ready: $(VENV)/.ready tools/fetch_test_servers.py
	@$(BIN)/python tools/fetch_test_servers.py
	@mkdir -p build/servers && touch $@

build/node/.ready: $(VENV)/.installed tools/fetch_node_modules.py $(wildcard tests/foreign/node/*.txt tests/foreign/node/*.json)
	@$(BIN)/python tools/fetch_node_modules.py
