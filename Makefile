# Targets do whatever set-up is missing; `make help` lists them.

PYTHON ?=
DATA ?=
DOCKER ?=
PYTEST_ARGS ?=
# Number of processes that share the tests. The tests of one file stay together; tests/longest_first.py
# orders the files.
JOBS ?= 2
SHARED = -n $(JOBS) --dist loadfile --no-loadscope-reorder
SECONDS ?=
# For `make backend`. CONTEXT is a kubectl context whose cluster replaces the servers that are built.
# IMAGE is the image of the steps on its Kubeflow Pipelines, CLAIM the local folder that its claim `data`
# shows, ENDPOINT and METADATA are addresses (by default kubectl forwards its services). KUBEFLOW is a
# folder with the programs of Kubeflow Pipelines; without it they are built, from the repository
# KUBEFLOW_GIT and at KUBEFLOW_COMMIT if given. Set to empty here, so that variables of the same name in
# the environment have no effect.
CONTEXT =
IMAGE =
CLAIM =
ENDPOINT =
METADATA =
KUBEFLOW =
KUBEFLOW_GIT =
KUBEFLOW_COMMIT =
BENCH ?= batch explain fronts ingest ingest_steps input_pipeline listing map_beside_peers map_objects maps page pipeline raster_memory raster_reading serving statistics training

FLINK ?= 1.19
FLINK_RUNNER ?= 2.62.0
KAFKA ?= 3.9.1
KAFKA_CONNECTOR ?= 2.70.0

BIN := .venv/bin
BEAM_VERSION = $(BIN)/python -c 'from importlib.metadata import version as v; print(v("apache-beam"))'
READY := .venv/.ready
PACKAGES := components pipelines serving trainer scripts benchmarks
# Outside the checkout: mypy compares the content of files, not their paths, so a fresh clone can use it.
MYPY_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/skymill/mypy
# Silences TensorFlow's C++ logging; our own layers are quiet already.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Pytest rewrites each test's assertions; __pycache__ keeps them, so that this happens only once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint slow recipes seconds containers bench soak audit backend docs pictures dist \
	flink kafka prism pubsub lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '%-14s %s\n' "$$target" "$$text"; done

demo: $(READY) ## run everything from images to predictions; DATA=folder uses your own images
	@$(BIN)/python -m pipelines.cli demo $(if $(DATA),--data "$(DATA)")

test: $(READY) ## run the tests that take minutes
	@$(BIN)/python -m pytest $(SHARED) -m "not slow and not recipes and not containers and not backend" \
		$(PYTEST_ARGS)

check: lint test ## lint, types and tests, which every change must pass

lint: $(READY) ## run ruff and strict typing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m mypy --cache-dir "$(MYPY_CACHE)" $(PACKAGES)

slow: $(READY) ## run the slow tests
	@$(BIN)/python -m pytest $(SHARED) -m slow --durations=10 $(PYTEST_ARGS)

recipes: $(READY) ## train the examples on real data until they reach their least accuracy
	@$(BIN)/python -m pytest $(SHARED) -m recipes --durations=10 $(PYTEST_ARGS)

seconds: ## measure how long each test file takes
	@$(MAKE) test slow recipes PYTEST_ARGS=--record-seconds

containers: $(READY) ## build the images and run the package in them; needs root on Debian, or DOCKER=address
	@SKYMILL_DOCKER_HOST="$(DOCKER)" sh scripts/containers.sh
	@SKYMILL_DOCKER_HOST="$(DOCKER)" $(BIN)/python -m pytest -m containers --durations=0 \
		tests/containers $(PYTEST_ARGS)

backend: $(READY) ## build the servers of Kubernetes, Argo and Kubeflow and test against them; needs Go
	@sh tests/backend/build.sh "$(CONTEXT)"
	@$(if $(CONTEXT)$(KUBEFLOW),:,sh tests/backend/kubeflow.sh "$(KUBEFLOW_GIT)" "$(KUBEFLOW_COMMIT)")
	@SKYMILL_BACKEND_CONTEXT="$(CONTEXT)" SKYMILL_BACKEND_KUBEFLOW="$(abspath $(KUBEFLOW))" \
		SKYMILL_BACKEND_IMAGE="$(IMAGE)" SKYMILL_BACKEND_CLAIM="$(abspath $(CLAIM))" \
		SKYMILL_BACKEND_ENDPOINT="$(ENDPOINT)" SKYMILL_BACKEND_METADATA="$(METADATA)" \
		sh tests/backend/alone.sh \
		$(BIN)/python -m pytest -m backend --durations=0 tests/backend $(PYTEST_ARGS)

bench: $(READY) ## run the benchmarks; BENCH=serving runs one of them
	@set -e; for name in $(BENCH); do \
		echo "== $$name"; $(BIN)/python -m benchmarks "$$name"; done

soak: $(READY) ## test the server under load, swaps, kills and hostile requests for six minutes, or SECONDS=60
	@$(BIN)/python -m benchmarks soak $(if $(SECONDS),--seconds $(SECONDS))

audit: $(READY) ## run checkov on the manifests
	@sh scripts/audit.sh

docs: $(READY) ## build the documentation as a site, in site/
	@sh scripts/docs.sh

pictures: $(READY) ## redraw docs/*.svg from the imports and the pipeline's definition
	@$(BIN)/python -m scripts.docs.architecture docs/architecture.svg
	@$(BIN)/python -m scripts.docs.pipeline docs/pipeline.svg

dist: $(READY) ## build wheel, source distribution and SBOM in dist/, and test them in an empty environment
	@sh scripts/dist.sh

# Engines for Beam's steps; no other target needs them. Maven and Go use their own settings.
flink: ## fetch Beam's job server with Flink, for tests/engines; needs Maven and Java
	@mvn -q -B -f tests/engines/flink.xml -Dflink=$(FLINK) -Drunner=$(FLINK_RUNNER) \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.tools/beam/flink"

kafka: ## fetch a Kafka broker and Beam's connector, for tests/engines; needs Maven, a JDK and `make flink`
	@mvn -q -B -f tests/engines/kafka.xml -Dkafka=$(KAFKA) -Dconnector=$(KAFKA_CONNECTOR) \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.tools/beam/kafka"

prism: $(READY) ## build Beam's own portable runner, for tests/engines; needs Go
	@GOBIN="$(CURDIR)/.tools/beam" \
		go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$$($(BEAM_VERSION))"

pubsub: ## build an in-memory Pub/Sub server, for tests/engines; needs Go
	@mkdir -p .tools/beam
	@cd tests/engines/pubsub && go build -o "$(CURDIR)/.tools/beam/pubsub" .

setup: $(READY) ## do only the set-up, in .venv; PYTHON=python3.12 chooses the Python

lock: $(READY) ## resolve requirements/ again, keeping versions that still fit; UPGRADE=1 takes the newest
	@sh scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what the set-up and docs created
	rm -rf .venv .tools .wheels build/docs site skymill.egg-info

# If PYTHON is given, .venv may have another Python, so the set-up always checks.
$(READY): requirements/lock.txt requirements/tools.txt setup.py \
		scripts/bootstrap.sh scripts/bootstrap.py scripts/old_glibc.py $(if $(PYTHON),FORCE)
	@PYTHON="$(PYTHON)" sh scripts/bootstrap.sh

FORCE:
