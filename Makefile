# From a fresh clone, `make demo` and `make test` are the only two commands needed.

LINT_VERSION := v2.15.0
LINT := .bin/golangci-lint-$(LINT_VERSION)

# npm writes node_modules/.package-lock.json last, so it says that an installation
# is complete and how old it is.
LOCKS := $(shell find . -name node_modules -prune -o -name package-lock.json -print)
NPM := $(LOCKS:package-lock.json=node_modules/.package-lock.json)

# The clients in other languages that test/interop runs.
JAVA := test/interop/java
PYTHON := test/interop/python

# Each module is built by its own go.mod, as it is for users. The workspace in go.work
# is for editors.
export GOWORK := off
MODULES := $(patsubst %/,%,$(sort $(dir $(shell find * -name node_modules -prune -o -name go.mod -print))))

# each_module runs a command in every module.
each_module = @set -e; for module in $(MODULES); do echo "($$module) $(1)"; (cd $$module && $(1)); done

ARGS ?=
PEERS ?=
BENCH ?= .
FUZZTIME ?= 30s

.DEFAULT_GOAL := help
.PHONY: help java python demo demo-cluster test docs-check lint linter bench bench-clients microbench faults soak rolling fuzz fmt tidy footprint firsthour

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## serve the chat at http://localhost:3000
	@./scripts/demo.sh

demo-cluster: ## serve one chat by two servers in Go and one in Node.js, over Redis, behind nginx
	@./scripts/demo-cluster.sh

test: $(NPM) java python ## run all tests: Go, clients in Node, Java and Python, the demo in a browser
	$(call each_module,go vet ./...)
	./scripts/test.sh

docs-check: ## check the documents: code, links, length of sentences, words
	go test -C test -count=1 ./readme/...

lint: $(LINT) ## check the code with golangci-lint, which is built into .bin
	$(call each_module,$(CURDIR)/$(LINT) run)

footprint: ## print what sioplug adds to the modules of an application
	./scripts/footprint.sh

firsthour: test/interop/node_modules/.package-lock.json ## add sioplug to new applications as README says, with all modules downloaded anew
	SIOPLUG_FRESH=1 go test -C test -count=1 -v ./firsthour

bench: bench/js/node_modules/.package-lock.json ## compare with the JavaScript server, with PEERS=1 also with servers in Rust and Go, and write docs/benchmarks.md
	cd bench && go run ./run $(if $(PEERS),-peers) $(ARGS)

bench-clients: ## compare the client for Go with another one, for a minute, and print a table
	cd bench/clients && go run . $(ARGS)

microbench: ## run the benchmarks beside the code, or those that BENCH=regexp names
	$(call each_module,go test -run '^$$' -bench '$(BENCH)' -benchmem ./...)

faults: ## break the networks of clients at every byte, then the broker of a cluster for as long as docs/clustering.md says, and print its tables
	SIOPLUG_FAULTS=long go test -C test -count=1 -timeout 30m ./faults
	@log=$$(mktemp) && trap 'rm -f $$log' EXIT && \
	if SIOPLUG_FAULTS=long go test -C test -count=1 -v -timeout 30m ./cluster/faults >$$log 2>&1; \
	then sed -n 's/^ *[a-z_]*_test\.go:[0-9]*: \(|.*\)/\1/p' $$log; else cat $$log; exit 1; fi

soak: ## let 100,000 clients come and go at two servers, for 20 minutes, and draw docs/soak.svg
	SIOPLUG_SOAK=$(CURDIR)/docs/soak.svg go test -C test -count=1 -v -timeout 45m ./soak

rolling: ## restart three servers one after the other under 1,000 clients, for three minutes, and print the table of docs/draining.md
	SIOPLUG_ROLLING=long go test -C test -count=1 -v -timeout 15m ./rolling

fuzz: ## fuzz every decoder for FUZZTIME=30s each
	FUZZTIME=$(FUZZTIME) ./scripts/fuzz.sh

fmt: $(LINT) ## format the Go code
	$(call each_module,$(CURDIR)/$(LINT) fmt)

tidy: ## bring every go.mod and go.sum in line with the code
	$(call each_module,go mod tidy)

# Without npm, Maven or Python the tests that need it say so themselves.
%/node_modules/.package-lock.json: %/package-lock.json
	@if command -v npm >/dev/null; then cd $* && npm ci && touch node_modules/.package-lock.json; fi

java: $(JAVA)/target/built
python: $(PYTHON)/.venv/built

$(JAVA)/target/built: $(JAVA)/pom.xml $(wildcard $(JAVA)/src/main/java/interop/*.java)
	@if command -v mvn >/dev/null && command -v javac >/dev/null; then \
	  cd $(JAVA) && mvn -q -B clean compile dependency:copy-dependencies && touch target/built; fi

$(PYTHON)/.venv/built: $(PYTHON)/requirements.txt
	@if python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  cd $(PYTHON) && python3 -m venv --clear .venv && \
	  .venv/bin/pip install -q --disable-pip-version-check --no-deps -r requirements.txt && touch .venv/built; fi

linter: $(LINT)

$(LINT):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $@
