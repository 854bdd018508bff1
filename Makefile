# The one list of what can be done here; `make` alone prints it.
.DEFAULT_GOAL := help
SHELL         := bash -eu -o pipefail

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   := $(shell git rev-parse HEAD 2>/dev/null)
STAMP    := github.com/leoflow/secrets-csi/internal/version
LDFLAGS  := -s -w -X $(STAMP).Version=$(VERSION) -X $(STAMP).Commit=$(COMMIT)
RUN      := CGO_ENABLED=0 go run -trimpath
# Without grpcnotrace gRPC links the pages of its traces, and with them what would keep unused code.
BUILD    := CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -ldflags '$(LDFLAGS)'
TOOL      = go tool -modfile='$(CURDIR)/tools/$(1).mod'
# The version is stamped above; what git says of the checkout fails a build in one that another
# user owns.
export GOFLAGS := $(shell go env GOFLAGS) -buildvcs=false
FUZZTIME ?= 30s
SOAKTIME ?= 30m
ATTACKTIME ?= 30s
# A version whose volumes and agents are in running pods: `make fault` goes back to its driver.
BEFORE ?= 5b5c203

.PHONY: build demo test test-long airflow-test metastore-test store-test python-test bench wheels image release release-check image-test chart-test alert-test docs picture e2e-image kind-check kind-test macos published-test executor-test fuzz fault attack soak sim lint vuln verify generate all-lanes clean help

build: ## build the binaries into bin/
	$(BUILD) -o bin/ ./cmd/...

demo: build ## watch a connection travel from core into a process, and rotate there
	$(RUN) ./test/demo --bin bin

# What is not run, since this machine lacks what it needs, is written to this file.
NOT_RUN := '$(CURDIR)/bin/not-run'
# A test that waits has a limit of its own; the timeout is for one that forgot it. A process
# with the race detector waits a second at its end for races that are still to be told, and
# agents are processes.
GO_TEST := GORACE=atexit_sleep_ms=10 LEOFLOW_TEST_NOT_RUN=$(NOT_RUN) go test -count=1 -vet=all -timeout 20m

define RUN_TESTS
@: >$(NOT_RUN)
race=$$(test/race.sh); [ "$$race" ] || export CGO_ENABLED=0; \
$(GO_TEST) $$race $(1) || failed=$$?; \
test/not-run.sh $(NOT_RUN); [ "$$race" ] || echo 'The race detector was not used: it needs a C compiler and the headers of its library.'; \
exit $${failed:-0}
endef

test: build ## run every test, with the race detector where there is a C compiler
	$(call RUN_TESTS,./...)

LONGTIME ?= 300
test-long: export LEOFLOW_TEST_LONG = $(LONGTIME)
test-long: build ## run those tests at length that find more the longer they run, LONGTIME (300) seconds those by time
	$(call RUN_TESTS,-run "^($$(test/long.sh | cut -d ' ' -f 2 | paste -sd '|'))$$" $$(test/long.sh | cut -d ' ' -f 1 | uniq))

airflow-test: ## let real Airflow judge what is delivered: 3.3, or with ALL=1 six versions from 2.10 on; needs root
	go test -count=1 -tags airflow -v -timeout 0 ./test/airflow $(if $(ALL),-all)

metastore-test: ## let real Airflow fill its database, and judge what core reads there: 3.3, or with ALL=1 four versions from 2.10 on; needs root
	go test -count=1 -tags airflow -v -timeout 0 ./test/metastore $(if $(ALL),-all)

store-test: ## let Airflow's own secrets backends of two ages judge what is made of the same stores
	go test -count=1 -tags store -v -timeout 0 ./test/store

python-test: ## judge the Python packages by type checkers, every Python and hooks at real servers, with ALL=1 of three ages; needs root
	$(RUN) ./test/python $(if $(ALL),--all)
	go test -count=1 -tags python -timeout 0 ./test/python

bench: build ## measure against the budgets of the design, each beside its floor; RECORD=1 writes those of the stores into docs/measured.md
	$(RUN) ./test/bench --bin bin
	@LEOFLOW_TEST_LONG=60 go test -count=1 -v ./test/e2e -run 'TheFirstPublish|AFullNode' $(if $(RECORD),-update) | grep -E 'budget|SKIP|FAIL' # of the stores

wheels: ## build the Python packages into dist/wheels
	$(RUN) ./python/build --version '$(VERSION)'

PLATFORMS  ?= linux/amd64 linux/arm64
REPOSITORY ?= leoflow/secrets-csi
image: ## build the container images into dist/images, for PLATFORMS and under REPOSITORY
	release/programs.sh dist/programs '$(VERSION)' '$(COMMIT)' $(PLATFORMS)
	cd images && go run . --tag '$(VERSION)' --revision '$(COMMIT)' --created "$$(git log -1 --format=%ct || echo 0)" --repository '$(REPOSITORY)'

release: ## build all that the tag's version is handed out as into dist/release; SNAPSHOT=1 builds any commit, SBOM=false without lists
	release/release.sh $(if $(SNAPSHOT),--snapshot) $(if $(filter false,$(SBOM)),--no-sbom)
	go test -count=1 -tags release ./release

release-check: ## build the commit twice, in two clones, and compare the checksums
	release/check.sh $(if $(filter false,$(SBOM)),--no-sbom)

image-test: ## test how the images are built
	cd images && go vet ./... && go test ./...

chart-test: ## test what the chart renders and refuses
	cd test/chart && go vet ./... && go test ./...

docs: ## write the documents as a site into dist/site; a link that leads nowhere fails it
	site/build.sh

picture: build ## make the picture of what the demo prints
	$(RUN) ./test/demo --bin bin >bin/demo.txt
	$(call TOOL,freeze) freeze bin/demo.txt --language text --wrap 100 --font.family 'ui-monospace, monospace' \
		--font.size 13 --background '#0f1716' --padding 20 --output docs/images/demo.svg

# The images that a cluster runs, and the version of Kubernetes: 1.37, 1.36 or 1.35.
KUBERNETES ?= 1.37
ARCH       := $(shell go env GOARCH)
E2E_IMAGES := $(CURDIR)/dist/e2e
E2E_LOAD   := $(E2E_IMAGES)/driver-linux-$(ARCH).tar,$(E2E_IMAGES)/agent-linux-$(ARCH).tar,$(E2E_IMAGES)/core-linux-$(ARCH).tar

kind-test: kind-check e2e-image ## run smoke, documents and conformance suite on kind, KUBERNETES=1.37 (1.36, 1.35); needs Docker or root
	cd test/kind && ./kind.sh --kubernetes '$(KUBERNETES)' --load '$(E2E_LOAD)' $(if $(CI),,--record) -- \
		go test -count=1 -p 1 -timeout 30m ./smoke ./manual ./suite

executor-test: kind-check e2e-image ## run a real Airflow with KubernetesExecutor on kind; needs root
	cd test/kind && airflow=$$(airflow/image/build.sh) && ./kind.sh --kubernetes '$(KUBERNETES)' --workers 0 --load '$(E2E_LOAD)',"$$airflow" -- \
		go test -count=1 -v -timeout 20m ./airflow

published-test: kind-check ## install the release of dist/release on kind, from a registry and signed with a throw-away key; needs root
	cd test/kind && CRANE=$$(cd ../.. && $(call TOOL,crane) -n crane) COSIGN=$$(cd ../.. && $(call TOOL,cosign) -n cosign) \
		./kind.sh --kubernetes '$(KUBERNETES)' --workers 1 -- go test -count=1 -v -timeout 30m ./published

# What is missing is said before the images are built.
kind-check:
	@test/kind/kind.sh --kubernetes '$(KUBERNETES)' --check

# What the tests of these are about only Linux has: mounts, namespaces, capabilities, threads' ends.
TESTED_ON_LINUX := cmd/agent|cmd/fetcher|internal/deliver|internal/doctor|internal/source/core|internal/unixsocket|pkg/envshim|pkg/mount

macos: ## build fetcher and agent for macOS, and vet all that they are made of, with its tests where those are for macOS too
	for arch in arm64 amd64; do GOOS=darwin GOARCH=$$arch go build -tags grpcnotrace -o /dev/null ./cmd/fetcher && GOOS=darwin GOARCH=$$arch go build -o /dev/null ./cmd/agent || exit 1; done
	GOOS=darwin go vet $$(GOOS=darwin go list -deps -tags grpcnotrace ./cmd/fetcher ./cmd/agent | grep ^github.com/leoflow/ | grep -vxE 'github.com/leoflow/secrets-csi/($(TESTED_ON_LINUX))')

e2e-image:
	release/programs.sh dist/e2e-programs test '$(COMMIT)' linux/$(ARCH)
	cd images && go run . --programs ../dist/e2e-programs --repository localhost/leoflow/secrets-csi --tag test --out '$(E2E_IMAGES)'

alert-test: ## test the chart's alerts by promtool's unit tests; needs promtool
	promtool check rules charts/leoflow-secrets-csi/files/alerts.yaml charts/leoflow-secrets-csi/files/cost.yaml
	promtool test rules test/alert/alerts.test.yaml test/alert/cost.test.yaml

# Until Go 1.27 a run may end as "context deadline exceeded" with no input written, which is
# no finding (go.dev/issue/75804); FUZZTIME=100000x counts runs instead, and cannot.
fuzz: ## run each fuzz target for FUZZTIME (30s)
	@grep -roh --include='*_test.go' '^func Fuzz[A-Za-z]*' pkg cmd internal -H | sed 's|/[^/]*:func | |' | \
	while read -r package target; do \
		echo "== $$package $$target"; \
		go test ./$$package -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME); \
	done

fault: ## break the real programs, and count what pods saw into docs/faults.md
	go test -count=1 -timeout 90m ./test/fault -kills 200 -cut 5m -replicas 5m -every 10s -before $(BEFORE) -update

attack: ## have one tenant attack the others for ATTACKTIME (30s) each, and count what they saw into docs/faults.md; needs root
	go test -count=1 -timeout 90m ./test/attack -for $(ATTACKTIME) -update

sim: build ## hold one core against thousands of nodes, and write docs/scale.md
	go test -count=1 -tags sim -v -timeout 0 ./test/sim -update

soak: ## let everything happen at random for SOAKTIME (30m), and look for leaks
	go test -count=1 -tags soak -v -timeout 0 ./test/soak -for $(SOAKTIME)

lint: ## check style and the arrows between packages
	for module in . images test/chart test/kind; do (cd $$module && $(call TOOL,lint) golangci-lint run); done
	cd api && $(call TOOL,buf) buf lint
	$(call TOOL,actionlint) actionlint .github/workflows/*.yaml

vuln: ## report known vulnerabilities in what we depend on
	$(call TOOL,vuln) govulncheck ./...

generate: ## regenerate code and documents
	cd api && $(call TOOL,buf) buf generate
	$(call TOOL,docs) helm-docs --chart-search-root charts --sort-values-order file --log-level error
	go test -count=1 ./test/docs ./internal/csi ./internal/policy ./internal/metric ./internal/coreserver/metric ./internal/source/store -run Document -update

verify: generate macos ## check that what is generated is committed, and that documents name what is there
	go mod tidy -diff
	git diff --exit-code -- api docs charts
	go test -count=1 ./test/docs -skip Runs

all-lanes: ## run everything that CI has, in its long form: hours
	.ci/run all

clean: ## delete what was built
	rm -rf bin dist

help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
