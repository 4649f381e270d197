# Every verb a person needs. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := $(CURDIR)/node_modules/.bin
export PATH := $(BIN):$(PATH)
export npm_config_loglevel ?= error

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules/.installed-run: package-lock.json
	@echo "installing what running needs (about 20 s) ..."
	@test -e node_modules/.installed-all || npm ci --omit=dev --no-audit --no-fund
	@touch $@

node_modules/.installed-all: package-lock.json
	@echo "installing what building and testing need (about 30 s) ..."
	@npm ci --no-audit --no-fund
	@touch $@ node_modules/.installed-run

install: node_modules/.installed-run ## install what running needs, Node 24 included
dev: node_modules/.installed-all ## install what developing and testing need

up: node_modules/.installed-run ## start examples/quickstart.yaml here: two boxes and a witness, Ctrl-C stops them
	@exec ./nexus up -f examples/quickstart.yaml

test: node_modules/.installed-all ## everything that proves a change: types, style, unit, property and real-process tests (< 15 min)
	@node test/run.ts

kube-api: node_modules/.installed-all ## the operator and the resources against a real API server and etcd, built from Go modules, and the pitfalls of operators (9 min, 18 the first time)
	@node test/run.ts kube-api

check: node_modules/.installed-all ## types and style only (seconds)
	@node test/run.ts check

unit: node_modules/.installed-all ## unit and property tests only (a few minutes)
	@node test/run.ts unit

e2e-local: node_modules/.installed-all ## real processes only: kills, pauses, full and corrupt disks (minutes)
	@node test/run.ts e2e

e2e: node_modules/.installed-all ## scenarios on a real Kubernetes in Docker (as root on Debian installs what it needs; 12 min the first time), ONLY=file
	@npx vitest run --config vitest.kube.config.ts $(ONLY)

e2e-cluster: e2e

e2e-scale: node_modules/.installed-all ## the operator with 1,000 boxes, 300 groups and zones on a real API server: memory, processor, requests (5 min)
	@node e2e/scale/main.ts

cluster: node_modules/.installed-all ## a Kubernetes to try things on, with the images in it, NODES=1; Ctrl-C removes it
	@node e2e/cluster/main.ts

images: node_modules/.installed-all ## container images nexus-node, nexus-witness, nexus-operator, TAG=dev; prints their sizes
	@node images/make.ts

sim: node_modules/.installed-all ## deterministic simulation, SEEDS=500 FROM=1
	@npm run -s sim -- --seeds $(or $(SEEDS),500) --from $(or $(FROM),1)

bench: node_modules/.installed-all ## the benchmarks, side by side with their peers (minutes)
	@npm run -s bench

profile: node_modules/.installed-all ## where the time of the boxes goes under load, and what an operation costs by part: profiles/*.cpuprofile (a minute)
	@npm run -s profile -- --mode $(or $(MODE),put) --clients $(or $(CLIENTS),64)

gen: node_modules/.installed-all ## make wire code, CRDs and reference pages again from their sources
	@npm run -s gen

clean: ## remove what was built or installed here, never data
	@rm -rf node_modules dist coverage

.PHONY: help install dev up test kube-api check unit e2e e2e-local e2e-cluster e2e-scale cluster images sim bench profile gen clean
