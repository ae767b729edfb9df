# Flightdeck. `make` alone lists the targets. Every target sets up what it needs; no environment variable is required.
#   PYTHON=/path/to/python   the interpreter for .venv (3.11, 3.12 or 3.13; default: found on the PATH)
#   AIRFLOW_PORT= MLFLOW_PORT= SERVING_PORT= GRPC_PORT=   other ports for `make up` and `make demo`
#   EVIDENTLY_PORT=   Evidently's own UI, which is not started without a port
#   EXECUTOR=celery   for `make compose-up`: tasks run in workers of their own; PRODUCTION=1 refuses the defaults of a trial

.DEFAULT_GOAL := help
.PHONY: help images compose-up compose-down test-docker test-kubernetes demo refusals faults-serving faults-release experiments reproduce bench-training bench-serving bench-batch bench-release bench-monitoring bench-scale bench-defaults test test-unit test-pythons released-home ci check audit docs proto up down status logs airflow lock clean venv
MAKEFLAGS += --no-print-directory

# Compiled imports halve the start of every process.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONHOME
unexport PYTHONPATH

ifneq ($(AIRFLOW_PORT),)
export FLIGHTDECK_AIRFLOW_PORT := $(AIRFLOW_PORT)
endif
ifneq ($(MLFLOW_PORT),)
export FLIGHTDECK_MLFLOW_PORT := $(MLFLOW_PORT)
endif
ifneq ($(GRPC_PORT),)
export FLIGHTDECK_GRPC_PORT := $(GRPC_PORT)
endif
ifneq ($(SERVING_PORT),)
export FLIGHTDECK_SERVING_PORT := $(SERVING_PORT)
endif

ifneq ($(EVIDENTLY_PORT),)
export FLIGHTDECK_EVIDENTLY_PORT := $(EVIDENTLY_PORT)
endif

VENV_PYTHON := .venv/bin/python
CLI := .venv/bin/flightdeck

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv  ## a year of real flights through the whole loop; MONTHS=1..9 says how many months to replay
	@$(CLI) demo $(if $(MONTHS),--months $(MONTHS))

experiments: venv  ## what has been trained: ARGS="search --metric 'auc>0.7'", ARGS="compare flight_delays/1 flight_delays/2"
	@$(CLI) experiments $(or $(ARGS),list)

reproduce: venv  ## train a version again from its record and compare: MODEL=flight_delays VERSION=1
	@$(CLI) reproduce "$(or $(MODEL),flight_delays)" "$(or $(VERSION),1)"

bench-training: venv  ## what training costs, as ratios within one run: ARGS=--quick for a small part
	@$(CLI) bench training $(ARGS)

bench-serving: venv  ## the endpoint against its peers and batch scoring, as ratios within one run: ARGS=--quick for a small part
	@$(CLI) bench serving $(ARGS)

bench-batch: venv  ## batch scoring against raw prediction over the same file: ARGS=--quick for a small part
	@$(CLI) bench batch $(ARGS)

bench-release: venv  ## how often the analysis of a rollout is wrong, how soon right, by simulation: ARGS=--quick for a few
	@$(CLI) bench release $(ARGS)

bench-monitoring: venv  ## how often monitoring is wrong, how soon right, beside what others do: ARGS=--quick for a few
	@$(CLI) bench monitoring $(ARGS)

bench-defaults: venv  ## proposed limits on public data: honest months refused, planted faults caught; needs requirements-examples.txt
	@$(CLI) bench defaults $(ARGS)

bench-scale: venv  ## many use cases, workers, models and rows: what each costs: ARGS=--quick for a small part, ARGS="--only parsing" for one
	@$(CLI) bench scale $(ARGS)

refusals: venv  ## bad data, bad models, bad packages through the wired DAGs: which gate refuses each; also var/refusals.json
	@$(CLI) refusals $(ARGS)

faults-serving: venv  ## kills, full disks, bad models, bad clients against the endpoint: ARGS=--quick for fewer; also var/faults/serving.json
	@$(CLI) faults serving $(ARGS)

faults-release: venv  ## bad versions, races, kills, damaged stores, forged approvals against a release: ARGS=--quick for fewer; also var/faults/release.json
	@$(CLI) faults release $(ARGS)

test: venv  ## all tests, four parts at a time; ARGS="-k calibration" for some of them
	@$(VENV_PYTHON) -m tests.together $(ARGS)

released-home: venv  ## keep a home of this version for the tests of later ones: a step of a release (CONTRIBUTING.md)
	@$(VENV_PYTHON) -m tests.upgrade.keep

test-unit: venv  ## the unit tests that train and ingest nothing: seconds, no server
	@$(VENV_PYTHON) -m pytest -q tests/unit -m "not slow"

test-pythons: venv  ## the unit tests on every other supported Python that this machine has; a few minutes each
	@$(VENV_PYTHON) -m tests.other_pythons $(ARGS)

ci: venv  ## what continuous integration runs: check, test and test-pythons, four parts at a time
	@$(VENV_PYTHON) -m tests.ci

check: venv  ## ruff, mypy (the tests too), import-linter, what the use cases declare
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(CLI) declarations

audit: venv  ## is a locked package known to be vulnerable? Needs the internet, and fails where it could not look
	@$(CLI) audit

docs: venv  ## write docs/specification.md and docs/settings.md anew from the code
	@$(CLI) reference

proto: venv  ## renew the gRPC stubs from serving/grpc/open_inference.proto
	@$(VENV_PYTHON) -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. serving/grpc/open_inference.proto
	@# A pool of their own: a client's stubs of the same protocol may be loaded in the same process.
	@sed -i.old 's/_descriptor_pool.Default()/_descriptor_pool.DescriptorPool()/' serving/grpc/open_inference_pb2.py
	@rm serving/grpc/open_inference_pb2.py.old

up: venv  ## start the platform and wait until it is healthy
	@$(CLI) up

down: venv  ## stop the platform; nothing of it is left running
	@$(CLI) down

status: venv  ## what runs, where, since when, healthy or not
	@$(CLI) status

logs: venv  ## the last lines of the platform's logs: NAME=serving for one, FOLLOW=1 to go on, LINES=100
	@$(CLI) logs $(NAME) $(if $(FOLLOW),--follow) $(if $(LINES),--lines $(LINES))

airflow: venv  ## the airflow command in the platform's environment: make airflow ARGS="dags list"
	@$(CLI) airflow $(ARGS)

images: venv  ## build the images of Airflow, MLflow, endpoint and step: PUSH=registry/folder BASE=image DOCKER=docker
	@$(CLI) images $(if $(PUSH),--push $(PUSH)) $(if $(BASE),--base $(BASE)) $(if $(DOCKER),--docker $(DOCKER))

compose-up: venv  ## bring the whole platform up in containers, after make images: docs/docker.md; EXECUTOR=celery for workers, PRODUCTION=1
	@$(CLI) compose-secrets $(if $(PRODUCTION),--production) $(if $(SECRETS),--folder $(SECRETS))
	@$(if $(EXECUTOR),FLIGHTDECK_EXECUTOR=$(EXECUTOR) COMPOSE_PROFILES=$(EXECUTOR)) .venv/bin/docker-compose --file docker/compose.yaml $(if $(PRODUCTION),--file docker/compose.production.yaml) up --detach --wait

compose-down: venv  ## end the containers; their volumes, with all data, stay
	@COMPOSE_PROFILES=celery .venv/bin/docker-compose --file docker/compose.yaml down

test-docker: venv  ## build the images, bring the platform up in containers, train, deploy, ask, kill; also var/faults/containers.json
	@$(CLI) faults containers $(ARGS)

test-kubernetes: venv  ## ask the API server of a Kubernetes cluster of yours whether it takes all manifests, values and pods: ARGS="--context NAME"; also var/faults/kubernetes.json
	@$(CLI) faults kubernetes $(ARGS)

lock: venv  ## renew requirements.txt from requirements.in; UPGRADE=1 moves every version to the newest that fits
	@.venv/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header \
		--overrides requirements-overrides.txt $(if $(UPGRADE),--upgrade) requirements.in -o requirements.txt
	@.venv/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header \
		$(if $(UPGRADE),--upgrade) requirements-tools.in -o requirements-tools.txt

clean:  ## stop the platform, then remove var/ and .venv, and nothing else
	@if [ -e var/run/platform.json ] && [ -x $(VENV_PYTHON) ]; then $(VENV_PYTHON) -m cli down; fi
	@rm -rf var .venv

venv:
	@for python in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
		if [ -n "$$python" ] && "$$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 7))' 2>/dev/null; then \
			exec "$$python" -I cli/bootstrap.py "$(PYTHON)"; fi; \
	done; \
	echo "flightdeck: no python3 is installed; install Python 3.11, 3.12 or 3.13." >&2; exit 1
