# Graft. `make` alone lists what there is to make.
#
#	ORT=cuda      ONNX Runtime with CUDA in place of the CPU's; what is installed stays
#	CONFIG, LISTEN, ARGS   what `make run` gives to graft serve
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help build run tools onnxruntime deps test lint bench e2e-engines tables gpu-check soak fuzz clean clean-all

ORT    ?= cpu
CONFIG ?=
LISTEN ?=
ARGS   ?=
SOAK     ?= 60s
FUZZTIME ?= 10s
QUESTIONS ?= 100
STATICCHECK := v0.8.2

ORT_VERSION := $(shell awk '$$1 == "cpu" && $$4 == "onnxruntime" { print $$5; exit }' deploy/onnxruntime/downloads.txt)
GO_MINOR    := $(shell awk '$$1 == "go" { split($$2, v, "."); print v[2] }' go.mod)

help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

build: tools onnxruntime ## bin/graft, and ONNX Runtime where it finds it (ORT=cuda for a GPU)
	go build -trimpath -o bin/graft .

run: build ## serve on 127.0.0.1:8080 (ORT=cuda, CONFIG=file, LISTEN=address)
	exec bin/graft serve $(if $(CONFIG),--config "$(CONFIG)") $(if $(LISTEN),--listen "$(LISTEN)") $(ARGS)

# tools says what is missing before a compiler says it worse. From Go 1.21 on, an
# older Go fetches the one that go.mod asks for.
tools:
	@command -v go >/dev/null || { echo "Go is missing: install Go 1.$(GO_MINOR) or newer and put it on the PATH, then run make again" >&2; exit 1; }
	@minor=$$(cd / && GOTOOLCHAIN=local go env GOVERSION | sed 's/^go1\.\([0-9]*\).*/\1/'); \
	case $$minor in [0-9]*) [ $$minor -ge 21 ] ;; esac || \
		{ echo "Go 1.$$minor is too old: install Go 1.$(GO_MINOR) or newer, then run make again" >&2; exit 1; }
	@set -- $$(go env CC) && command -v "$$1" >/dev/null || \
		{ echo "a C compiler is missing: install one (Debian and Ubuntu: apt-get install gcc libc6-dev), then run make again" >&2; exit 1; }
	@[ "$$(go env CGO_ENABLED)" = 1 ] || { echo "cgo is turned off: unset CGO_ENABLED, then run make again" >&2; exit 1; }

onnxruntime:
	@case "$(ORT)" in cpu | cuda) ;; *) echo "ORT=$(ORT) is unknown: use ORT=cpu or ORT=cuda" >&2; exit 1 ;; esac
	@deploy/onnxruntime/install.sh $(ORT) .cache/onnxruntime/$(ORT_VERSION)/$(ORT)

deps: tools ## what the tests need beyond a build, into .cache and node_modules
	@e2e/install.sh

# The race detector and the stories over the binary have a run each: the latter
# would only watch the tests' own code.
test: build deps lint ## everything that a change must pass (some minutes)
	go test -race -timeout 10m $$(go list ./... | grep -v '/e2e$$')
	go test -timeout 10m -count 1 ./e2e

lint: tools ## gofmt, vet and staticcheck
	@files=$$(find . \( -name .git -o -name .cache -o -name node_modules \) -prune -o -name '*.go' -print | xargs gofmt -l) && \
	[ -z "$$files" ] || { echo "not as gofmt writes them, run gofmt -w:" >&2; echo "$$files" >&2; exit 1; }
	go vet -tags engines ./...
	go run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK) -tags engines ./...

bench: build ## Go's benchmarks
	go test -run '^$$' -bench . -benchmem $$(go list ./... | grep -v '/e2e$$')

# The engines take gigabytes and minutes to install, so they are no part of `make test`,
# which has scripted and recorded servers. This fails where an engine cannot be had.
e2e-engines: build ## the embedded base behind real vLLM and llama-server (QUESTIONS=100)
	e2e/engines/llamacpp.sh install
	e2e/engines/vllm.sh install
	GRAFT_QUESTIONS=$(QUESTIONS) go test -tags engines ./e2e -count 1 -v -timeout 60m -run TestRealEngines

tables: build ## truncated rows by size over 300 questions, and what a token costs by size
	GRAFT_QUESTIONS=300 go test ./e2e -count 1 -v -timeout 60m -run TestTruncatedRows
	go test ./e2e -run '^$$' -bench TokensByRowSize

# Nothing of it runs without a GPU; `make test` tries the same check on the CPU.
gpu-check: tools ## compare an NVIDIA GPU with the CPU and time it (GRAFT_GPU_MODEL=FILE adds a model)
	@nvidia-smi -L 2>/dev/null | grep -q GPU || { echo "there is no GPU to check: nvidia-smi is missing or lists no card; an NVIDIA card and its driver are needed" >&2; exit 1; }
	@$(MAKE) --no-print-directory onnxruntime ORT=cuda
	GRAFT_GPU=1 GRAFT_ORT_LIBRARY=$$(ls $(CURDIR)/.cache/onnxruntime/$(ORT_VERSION)/cuda/libonnxruntime.so.*) \
		go test ./models/onnx -count 1 -v -timeout 60m -run '^TestGPU$$'

soak: build ## 64 streams at once for SOAK=60s, and what they leave behind
	GRAFT_SOAK=$(SOAK) go test ./e2e -count 1 -v -timeout 60m -run "TestManyStreams|TestMixedLoad"

fuzz: build ## every fuzz target for FUZZTIME=10s
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

clean: ## remove what build makes
	rm -rf bin

clean-all: clean ## and what was installed: ONNX Runtime, engines, clients, tokenizers
	rm -rf .cache e2e/node/node_modules
