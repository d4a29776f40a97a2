# Everything about this repository starts here; `make` lists it. Needs make and Go 1.26 or newer. Tools that only
# developers need are pinned below and are built once, into a cache of the user.

GOLANGCI_VERSION     := v2.15.0
SQLC_VERSION         := v1.31.1
OAPI_CODEGEN_VERSION := v2.8.2
GOVULNCHECK_VERSION  := v1.9.0

TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wafleet/tools
GOLANGCI     := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
SQLC         := $(TOOLS)/sqlc-$(SQLC_VERSION)/sqlc
OAPI_CODEGEN := $(TOOLS)/oapi-codegen-$(OAPI_CODEGEN_VERSION)/oapi-codegen
GOVULNCHECK  := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck

MODULES  := functions hosts infra migrations shared
PACKAGES := $(addprefix ./,$(addsuffix /...,$(MODULES)))
VERSION  ?= $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)

# Test binaries at the same time; each of them runs its tests in parallel, too.
TEST_P ?= 2
# More flags for go test: make test TESTFLAGS='-run TestSend -v'
TESTFLAGS ?=
# What to test: make test PKG=./shared/queue/...
PKG ?= work

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Use it

.PHONY: run
run: build ## Everything in one process, WhatsApp simulated. Also: PORT= WASIM_PORT= DATA= HOSTS= SHARDS= WHATSAPP=live
	@exec env WAFLEET_ENV=dev bin/wafleet serve --end-with-parent

.PHONY: build
build: needs-go ## Build wafleet, connhost and wasim into bin/
	@mkdir -p bin
	@CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ \
		./infra/cmd/wafleet ./hosts/cmd/connhost ./infra/wasim/cmd/wasim

##@ Prove it

.PHONY: test
test: needs-go ## Every test that this machine can run; REQUIRE_ALL=1 fails where one cannot. Also: PKG= TESTFLAGS= TEST_P=
	@GORACE="suppressions=$(CURDIR)/.race-suppressions" go run ./infra/testenv -postgres -redis -sqs -dynamodb $(NPM_TESTS:%=-npm %) -- \
		go run ./infra/testreport go test -race -shuffle=on -timeout 20m -p $(TEST_P) $(TESTFLAGS) $(PKG)

.PHONY: test/short
test/short: needs-go ## The tests that need no server, in seconds
	@go run ./infra/testreport go test -short $(TESTFLAGS) $(PKG)

.PHONY: e2e
e2e: build ## The real `make run`, driven from outside: start, send, kill -9, restart
	@go run ./infra/testreport go test -tags e2e -count=1 -timeout 20m -v $(TESTFLAGS) ./infra/e2e/... ./infra/chaos/...

.PHONY: chaos
chaos: build ## Kill, drain, freeze and cut off a fleet under load; COMPANIES=60 HOSTS=3 SCENARIO=all SEED=…. Ends with one line of JSON
	@go run ./infra/chaos -companies $(or $(COMPANIES),60) -hosts $(or $(HOSTS),3) -scenario $(or $(SCENARIO),all) -seed $(or $(SEED),0)

.PHONY: bench
bench: build ## Load on one host; SESSIONS=200. Ends with one line of JSON
	@go run ./infra/bench -sessions $(or $(SESSIONS),200)

##@ Keep it clean

.PHONY: check
check: lint lint/selftest generate/check test ## All that has to be green before a commit

.PHONY: lint
lint: $(GOLANGCI) ## Lint and check the formatting of all modules
	@$(GOLANGCI) config verify
	@$(GOLANGCI) run $(PACKAGES)

.PHONY: lint/selftest
lint/selftest: $(GOLANGCI) ## Prove that the linter reports code that breaks the layer rules
	@GOLANGCI_LINT=$(GOLANGCI) go test -tags lintselftest -count=1 ./infra/lint

.PHONY: fmt
fmt: $(GOLANGCI) ## Format all Go code
	@$(GOLANGCI) fmt $(MODULES)

.PHONY: generate
generate: $(SQLC) $(OAPI_CODEGEN) ## Make the generated code again: queries and API
	@PATH="$(dir $(SQLC)):$(dir $(OAPI_CODEGEN)):$$PATH" go generate $(PACKAGES)
	@for config in $(call files,sqlc.yaml); do (cd "$$(dirname "$$config")" && $(SQLC) generate) || exit 1; done

GENERATED = grep -rlE --include='*.go' '^// Code generated .* DO NOT EDIT' $(MODULES) | sort | xargs cksum
.PHONY: generate/check
generate/check: ## Fail if the generated code is not what its sources say
	@before=$$(mktemp) && after=$$(mktemp) && trap 'rm -f "$$before" "$$after"' EXIT && \
	$(GENERATED) >"$$before" && $(MAKE) --no-print-directory generate && $(GENERATED) >"$$after" && \
	if ! diff "$$before" "$$after" >/dev/null; then \
		echo "generated code was stale and has been made again, commit it:" >&2; \
		diff "$$before" "$$after" | awk '/^[<>]/ {print "  " $$NF}' | sort -u >&2; exit 1; fi

.PHONY: build/cross
build/cross: needs-go ## Compile for the other systems that are supported
	@CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -tags lambda.norpc ./functions/... ./hosts/...
	@CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build ./infra/cmd/wafleet ./hosts/cmd/connhost ./infra/wasim/cmd/wasim

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Look for known vulnerabilities in what is used (asks vuln.go.dev)
	@$(GOVULNCHECK) $(PACKAGES)

.PHONY: tools
tools: $(GOLANGCI) $(SQLC) $(OAPI_CODEGEN) ## Build the pinned developer tools
	@echo "in $(TOOLS): golangci-lint $(GOLANGCI_VERSION), sqlc $(SQLC_VERSION), oapi-codegen $(OAPI_CODEGEN_VERSION)"

.PHONY: clean
clean: ## Remove what was built; data in .local stays
	@rm -rf bin .aws-sam

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9\/_-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

files = $(shell find $(MODULES) -name $(1) -not -path '*/node_modules/*')
# What tests need from npm is said by lock files.
NPM_TESTS = $(dir $(call files,package-lock.json))

.PHONY: needs-go
needs-go:
	@command -v go >/dev/null || { echo "wafleet needs Go 1.26 or newer: https://go.dev/dl" >&2; exit 1; }

# Each version has a folder of its own, so a new pin builds anew and an old checkout keeps its tools.
$(GOLANGCI): PACKAGE = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
$(SQLC): PACKAGE = github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC_VERSION)
$(OAPI_CODEGEN): PACKAGE = github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@$(OAPI_CODEGEN_VERSION)
$(GOVULNCHECK): PACKAGE = golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
$(GOLANGCI) $(SQLC) $(OAPI_CODEGEN) $(GOVULNCHECK): | needs-go
	@echo "building $(PACKAGE)"
	@GOWORK=off GOFLAGS= GOBIN=$(@D) go install $(PACKAGE)
