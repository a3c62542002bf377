# make help lists the targets, in the order in which one needs them.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BIN     := bin/dynamic-toolset
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?=

# make verify CLUSTER=kind VERIFY='--restarts 10 --rate 1000'. VERIFY has flags of
# bin/verify. On kind the image is built from the Dockerfile.
CLUSTER ?= sim
VERIFY  ?=
SOAK    ?=
IMAGE   ?= dynamic-toolset:devel
BASE    ?=

.PHONY: help run build unit lint fuzz bench-compare requirements products test test-integration-toolset test-verifier verify soak vuln bench bench-go bench-scale bench-health image release tools clean

##@ Try it

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {print "\n" substr($$0, 5) ":"} /^[a-z-]+:.*## / {printf "  %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## serve the example cluster on :8080; RUN: settings of the service, such as RUN=--identify=off
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/example-backends ./examples/backends
	@scripts/run $(RUN)

##@ While you work

build: ## build bin/dynamic-toolset
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) .

unit: ## run the fast tests only (no API server, no Prometheus, no browser)
	$(GO) test -race -short ./problem ./service/... ./transport/... ./config ./harness/verdict ./harness/observe ./harness/manifest ./harness/scenario

lint: ## gofmt, go vet, staticcheck
	scripts/lint

fuzz: ## fuzz each target for a few seconds, or for FUZZTIME=5m
	scripts/fuzz "$(FUZZTIME)" $(FUZZ)

bench-compare: ## compare the Go benchmarks with those of BASE=REVISION (20 minutes); BENCH, PKG, COUNT, BENCHTIME: see scripts/bench-compare
	@scripts/bench-compare '$(BASE)'

##@ Before you hand a change in

requirements: ## install or build what the tests need
	scripts/requirements

products: ## build all products that tests run, also those that take many minutes
	$(GO) run ./test/products/cmd/build -all

test: requirements ## run every test with the race detector (30 minutes)
	scripts/test

test-integration-toolset: ## run the specification's 6 + 8 tests alone: error responses, graceful shutdown
	scripts/test-integration-toolset

test-verifier: requirements ## run the tests of the verifier only: planted defects, scenarios; also on kind if there is Docker
	TOOLSET_TEST_REQUIRE=1 $(GO) test -race -count=1 -v -timeout 30m -parallel 3 ./harness/verify
	$(GO) test -race -count=1 -v -timeout 30m -p 1 ./harness/driver/...

verify: build tools $(if $(filter kind,$(CLUSTER)),image) ## prove that a rolling update loses no request: CLUSTER=sim (default) or kind
	@bin/verify --cluster $(CLUSTER) $(if $(filter kind,$(CLUSTER)),--image $(IMAGE)) $(VERIFY)

# A million requests, or on kind a hundred thousand. SOAK has flags of bin/verify.
soak: build tools $(if $(filter kind,$(CLUSTER)),image) ## the same for long, into docs/verification/soak.md: 1,000,000 requests, 100 rolling restarts (half an hour)
	@bin/verify --cluster $(CLUSTER) $(if $(filter kind,$(CLUSTER)),--image $(IMAGE) --restarts 10 --requests 100000,--restarts 100 --requests 1000000) \
		--rate 800 --reports reports/soak-$(CLUSTER) $(SOAK)
	$(GO) run ./harness/cmd/soak --write docs/verification/soak.md

vuln: ## look for known vulnerabilities (needs the vulnerability database)
	$(GO) tool govulncheck ./...

##@ Figures

bench: ## measure the service next to other HTTP servers (10 minutes); BENCH: flags of bench/servers
	$(GO) run ./bench/servers $(BENCH)

bench-go: ## measure lookups through the whole server, next to bare fasthttp (8 minutes); BENCH: a regular expression
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime 500ms -count 6 ./bench/hotpath | tee bin/bench-go.txt
	scripts/benchstat -col /server bin/bench-go.txt

bench-scale: ## measure the service beside a real API server with 100,000 Services (10 minutes); SCALE: flags of bench/scale
	$(GO) run ./bench/scale $(SCALE)

bench-health: ## measure the health checks of 10,000 real endpoints (4 minutes); HEALTH: flags of bench/health
	$(GO) run ./bench/health $(HEALTH)

##@ Other builds, and cleaning up

image: ## build the container image IMAGE with Docker, and print its size; no registry needed
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' scripts/image

release: ## make everything of a release in dist/: programs, image, chart, checksums, bills of materials; no network, no Docker
	$(GO) -C deploy/release run . -source ../.. -out ../../dist $(if $(filter file,$(origin VERSION)),,-version '$(VERSION)')

tools: ## build bin/verify (also as a plugin of kubectl) and bin/loadagent, which make verify uses
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/verify ./harness/cmd/verify
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/loadagent ./harness/cmd/loadagent
	ln -sf verify bin/kubectl-verify_rollout

clean: ## remove what was built
	rm -rf bin dist
