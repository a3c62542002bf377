# The two commands of the README are `make run` and `make test`.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BIN     := bin/dynamic-toolset
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?=

# make verify CLUSTER=kind VERIFY='--restarts 10 --rate 1000'; VERIFY: flags of
# bin/verify. On kind the image is that of the Dockerfile.
CLUSTER ?= sim
VERIFY  ?=
IMAGE   ?= dynamic-toolset:devel

.PHONY: help build image tools run verify test unit test-integration-toolset test-verifier fuzz requirements bench bench-scale bench-health bench-go bench-compare lint vuln clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/dynamic-toolset
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) .

image: ## build the container image IMAGE with Docker, and print its size; no registry needed
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' scripts/image

tools: ## build bin/verify and bin/loadagent, which make verify uses
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/verify ./harness/cmd/verify
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/loadagent ./harness/cmd/loadagent

verify: build tools $(if $(filter kind,$(CLUSTER)),image) ## prove that a rolling update loses no request: CLUSTER=sim (default) or kind
	@bin/verify --cluster $(CLUSTER) $(if $(filter kind,$(CLUSTER)),--image $(IMAGE)) $(VERIFY)

run: build ## serve the example cluster on :8080
	@echo
	@echo "Serving examples/cluster. Try, in another terminal:"
	@echo "  curl localhost:8080/api/v1/toolsets"
	@echo "  curl localhost:8080/api/v1/toolsets/grafana"
	@echo "  curl 'localhost:8080/api/v1/toolsets?healthy=true'"
	@echo "  curl -N localhost:8080/api/v1/toolsets/watch     # then edit a file in examples/cluster"
	@echo "  curl localhost:8080/api/v1/nothing               # an error: application/problem+json"
	@echo "  curl localhost:9090/metrics"
	@echo "Stop with Ctrl-C (twice to stop at once)."
	@echo
	@$(BIN) serve --manifests examples/cluster --allow-endpoint-cidrs 127.0.0.0/8

test: requirements ## run every test, the race detector on
	scripts/test

requirements: ## install or build what the tests need
	scripts/requirements

unit: ## run the fast tests only (no API server, no Prometheus, no browser)
	$(GO) test -race -short ./problem ./service/... ./transport/... ./config ./harness/verdict ./harness/observe ./harness/manifest ./harness/scenario

test-integration-toolset: ## run the specification's 6 + 8 tests alone: error responses, graceful shutdown
	scripts/test-integration-toolset

test-verifier: requirements ## run the tests of the verifier only: planted defects, scenarios; on kind too, where there is Docker
	TOOLSET_TEST_REQUIRE=1 $(GO) test -race -count=1 -v -timeout 30m -parallel 3 ./harness/verify
	$(GO) test -race -count=1 -v -timeout 30m -p 1 ./harness/driver/...

fuzz: ## fuzz each target for a few seconds, or as in FUZZTIME=5m make fuzz
	scripts/fuzz "$(FUZZTIME)" $(FUZZ)

bench: ## measure the service next to other HTTP servers (10 minutes); BENCH: flags of bench/servers
	$(GO) run ./bench/servers $(BENCH)

bench-scale: ## measure the service beside a real API server with 100,000 Services (10 minutes); SCALE: flags of bench/scale
	$(GO) run ./bench/scale $(SCALE)

bench-health: ## measure the health checks of 10,000 real endpoints (4 minutes); HEALTH: flags of bench/health
	$(GO) run ./bench/health $(HEALTH)

bench-go: ## measure lookups through the whole server, next to bare fasthttp (8 minutes); BENCH: a regular expression
	@mkdir -p bin
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchtime 500ms -count 6 ./bench/hotpath | tee bin/bench-go.txt
	scripts/benchstat -col /server bin/bench-go.txt

BASE ?=
bench-compare: ## compare the Go benchmarks with those of BASE=revision (20 minutes); BENCH, PKG, COUNT, BENCHTIME
	@scripts/bench-compare '$(BASE)'

lint: ## gofmt, go vet, staticcheck
	scripts/lint

vuln: ## look for known vulnerabilities (needs the vulnerability database)
	$(GO) tool govulncheck ./...

clean: ## remove what was built
	rm -rf bin
