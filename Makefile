# `make demo` and `make test` do whatever set-up is missing; `make help` lists the rest.

PYTHON ?=
DATA ?=
DOCKER ?=
PYTEST_ARGS ?=
# How many processes share the tests. The tests of one file stay together; tests/longest_first.py
# says in which order the files come.
JOBS ?= 2
SHARED = -n $(JOBS) --dist loadfile --no-loadscope-reorder
SECONDS ?=
# For `make backend`: a context of kubectl's, whose cluster takes the place of what is built. IMAGE is
# that of steps on its Kubeflow Pipelines, CLAIM the folder here that its claim `data` shows, ENDPOINT
# and METADATA are addresses; without them kubectl forwards its services.
# An empty one here keeps out a variable of the environment. KUBEFLOW is a folder of the programs of
# Kubeflow Pipelines. Without it they are built, from another repository and at another commit if
# KUBEFLOW_GIT and KUBEFLOW_COMMIT name them.
CONTEXT =
IMAGE =
CLAIM =
ENDPOINT =
METADATA =
KUBEFLOW =
KUBEFLOW_GIT =
KUBEFLOW_COMMIT =
BENCH ?= batch explain fronts ingest input_pipeline listing map_beside_peers map_objects maps page pipeline raster_memory raster_reading serving statistics training

FLINK ?= 1.19
FLINK_RUNNER ?= 2.62.0
KAFKA ?= 3.9.1
KAFKA_CONNECTOR ?= 2.70.0

BIN := .venv/bin
BEAM_VERSION = $(BIN)/python -c 'from importlib.metadata import version as v; print(v("apache-beam"))'
READY := .venv/.ready
PACKAGES := components pipelines serving trainer scripts benchmarks
# Outside the checkout: mypy compares what files hold, not where they lie, so a fresh clone profits.
MYPY_CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/skymill/mypy
# Our own layers keep their own quiet; this is for the C++ below them.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Pytest rewrites each test's assertions before it runs; kept in __pycache__, they are rewritten once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint slow recipes seconds containers bench soak audit backend docs pictures dist \
	flink kafka prism pubsub lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target text; do printf '%-14s %s\n' "$$target" "$$text"; done

demo: $(READY) ## from images to predictions of a served model; DATA=folder takes your own
	@$(BIN)/python -m pipelines.cli demo $(if $(DATA),--data "$(DATA)")

test: $(READY) ## the tests that take minutes
	@$(BIN)/python -m pytest $(SHARED) -m "not slow and not recipes and not containers and not backend" \
		$(PYTEST_ARGS)

check: lint test ## lint, types and tests: all that a change must pass

lint: $(READY) ## ruff and strict typing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m mypy --cache-dir "$(MYPY_CACHE)" $(PACKAGES)

slow: $(READY) ## the tests that take longer
	@$(BIN)/python -m pytest $(SHARED) -m slow --durations=10 $(PYTEST_ARGS)

recipes: $(READY) ## the examples on real data, trained as far as their floors of accuracy need
	@$(BIN)/python -m pytest $(SHARED) -m recipes --durations=10 $(PYTEST_ARGS)

seconds: ## measure anew how long each file of tests takes
	@$(MAKE) test slow recipes PYTEST_ARGS=--record-seconds

containers: $(READY) ## build the images and run the package in them; root on Debian, or DOCKER=address
	@SKYMILL_DOCKER_HOST="$(DOCKER)" sh scripts/containers.sh
	@SKYMILL_DOCKER_HOST="$(DOCKER)" $(BIN)/python -m pytest -m containers --durations=0 \
		tests/containers $(PYTEST_ARGS)

backend: $(READY) ## build servers of Kubernetes, Argo and Kubeflow and run against them; needs Go
	@sh tests/backend/build.sh "$(CONTEXT)"
	@$(if $(CONTEXT)$(KUBEFLOW),:,sh tests/backend/kubeflow.sh "$(KUBEFLOW_GIT)" "$(KUBEFLOW_COMMIT)")
	@SKYMILL_BACKEND_CONTEXT="$(CONTEXT)" SKYMILL_BACKEND_KUBEFLOW="$(abspath $(KUBEFLOW))" \
		SKYMILL_BACKEND_IMAGE="$(IMAGE)" SKYMILL_BACKEND_CLAIM="$(abspath $(CLAIM))" \
		SKYMILL_BACKEND_ENDPOINT="$(ENDPOINT)" SKYMILL_BACKEND_METADATA="$(METADATA)" \
		sh tests/backend/alone.sh \
		$(BIN)/python -m pytest -m backend --durations=0 tests/backend $(PYTEST_ARGS)

bench: $(READY) ## the figures in benchmarks/; BENCH=serving runs one of them
	@set -e; for name in $(BENCH); do \
		echo "== $$name"; $(BIN)/python -m benchmarks "$$name"; done

soak: $(READY) ## six minutes of load, swaps, kills and hostile requests; SECONDS=60 for fewer
	@$(BIN)/python -m benchmarks soak $(if $(SECONDS),--seconds $(SECONDS))

audit: $(READY) ## checkov on the manifests
	@sh scripts/audit.sh

docs: $(READY) ## the documentation as a site, in site/
	@sh scripts/docs.sh

pictures: $(READY) ## draw docs/*.svg anew, from the imports and the pipeline's definition
	@$(BIN)/python -m scripts.docs.architecture docs/architecture.svg
	@$(BIN)/python -m scripts.docs.pipeline docs/pipeline.svg

dist: $(READY) ## wheel, source distribution and SBOM in dist/, tried in an empty environment
	@sh scripts/dist.sh

# Engines for Beam's steps; no other target needs them. Maven and Go find them by their own settings.
flink: ## Beam's job server with Flink inside, for tests/engines; needs Maven and Java
	@mvn -q -B -f tests/engines/flink.xml -Dflink=$(FLINK) -Drunner=$(FLINK_RUNNER) \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.tools/beam/flink"

kafka: ## a Kafka broker and Beam's connector, for tests/engines; needs Maven and a JDK, and `make flink`
	@mvn -q -B -f tests/engines/kafka.xml -Dkafka=$(KAFKA) -Dconnector=$(KAFKA_CONNECTOR) \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.tools/beam/kafka"

prism: $(READY) ## Beam's own portable runner, for tests/engines; needs Go
	@GOBIN="$(CURDIR)/.tools/beam" \
		go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$$($(BEAM_VERSION))"

pubsub: ## a Pub/Sub server in memory, for tests/engines; needs Go
	@mkdir -p .tools/beam
	@cd tests/engines/pubsub && go build -o "$(CURDIR)/.tools/beam/pubsub" .

setup: $(READY) ## only the set-up, in .venv; PYTHON=python3.12 chooses the Python

lock: $(READY) ## resolve requirements/ anew, keeping what still fits; UPGRADE=1 takes the newest
	@sh scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## remove what set-up and docs made
	rm -rf .venv .tools .wheels build/docs site skymill.egg-info

# A Python that was named may not be the one in .venv, so the set-up looks again.
$(READY): requirements/lock.txt requirements/tools.txt setup.py \
		scripts/bootstrap.sh scripts/bootstrap.py scripts/old_glibc.py $(if $(PYTHON),FORCE)
	@PYTHON="$(PYTHON)" sh scripts/bootstrap.sh

FORCE:
