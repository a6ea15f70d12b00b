# Preparing, gating, tracking, and training on AWS; included by ../Makefile.
PREPARED ?= .runs/prepared
RELEASE ?= .runs/release
REFERENCE ?=
VERSION ?= $(shell date -u +%Y.%m.%d-%H%M)
IMAGE ?= maskwatch-training:latest
REQUIRE_RELEASE = @test -f $(RELEASE)/manifest.json || \
  { echo "$(RELEASE) has no release: make judge writes one if the runs pass the gate" >&2; exit 1; }
JOB := $(BIN)/python -m training.aws.job

.PHONY: prepare judge leave-one-out training-setup serve mlflow repro dvc-remote training-image job job-local pipeline

prepare: $(VENV)/dev.stamp ## Check the pictures in DATA=folder and copy what is usable to PREPARED=folder
	$(BIN)/python -m training.prepare --data $(DATA) --out $(PREPARED)

judge: $(VENV)/dev.stamp ## Compare RUN (and DETECTOR, if there) with the image's release, or that of STACK=name; write VERSION=… to RELEASE if it passes
	$(BIN)/python -m training.judge --data $(PREPARED) $(RUNS) --out $(RELEASE) --version $(VERSION) \
	  $(if $(STACK),--serving stack:$(STACK)) $(if $(REFERENCE),--reference $(REFERENCE))
	$(REQUIRE_RELEASE)

leave-one-out: $(VENV)/dev.stamp ## Train a short run without each source of DATA, and evaluate on that source
	$(BIN)/python -m training.classifier.leave_one_out --data $(DATA) --out .runs/leave-one-out $(if $(FOLDS),--folds $(FOLDS)) \
	  $(if $(BACKBONE),--backbone $(BACKBONE))
	mkdir -p $(RUN)
	cp .runs/leave-one-out/leave-one-out.json $(RUN)/

serve: $(VENV)/run.stamp ## Like `make run`, with the model release in RELEASE=folder
	$(REQUIRE_RELEASE)
	@exec $(BIN)/python -m infra.local --port $(or $(PORT),3000) --parameter ModelUri=$(abspath $(RELEASE))

mlflow: $(VENV)/dev.stamp ## Show the tracked training runs on http://127.0.0.1:5001 (PORT=…)
	$(BIN)/mlflow ui --backend-store-uri sqlite:///.runs/mlflow.db --port $(or $(PORT),5001)

repro: $(VENV)/aws-training.stamp ## Repeat with DVC the steps whose inputs changed: prepare, train, convert, evaluate
	PATH="$(abspath $(BIN)):$$PATH" dvc repro

dvc-remote: $(VENV)/aws-training.stamp ## Set the stack's bucket as the remote of `dvc push` and `dvc pull` (ENV=… or STACK=name)
	bucket=$$($(BIN)/python -m infra.ops stack --stack $(ON_STACK) ModelsBucket) \
	  && $(BIN)/dvc remote add --local --force --default stack s3://$$bucket/dvc

training-image: ## Build the training image (BASE_IMAGE=…), and push it if IMAGE=… names a registry
	docker build --platform linux/amd64 --provenance=false --file training/Dockerfile --tag $(IMAGE) --build-arg GIT_COMMIT=$$(git describe --always --abbrev=40 --dirty --exclude='*') \
	  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) .
	$(if $(findstring .dkr.ecr.,$(IMAGE)),docker push $(IMAGE))

training-setup: $(VENV)/aws-training.stamp ## Create the ECR repository, the role and the package group once (ENV=… or STACK=name, SETUP_OPTIONS='--vpc …')
	$(BIN)/python -m training.aws.setup --stack $(ON_STACK) $(SETUP_OPTIONS)

job: $(VENV)/aws-training.stamp ## Train on SageMaker: PICTURES=s3://… ROLE=arn:… (ENV=… or STACK=name, JOB_OPTIONS='--spot …')
	$(JOB) submit --stack $(ON_STACK) --pictures $(PICTURES) --role $(ROLE) $(JOB_OPTIONS)

job-local: $(VENV)/aws-training.stamp ## The same job in Docker here: PICTURES=folder (make training-image first)
	$(JOB) submit --local .runs/job --pictures $(PICTURES) $(JOB_OPTIONS)

pipeline: $(VENV)/aws-training.stamp ## Create or update the SageMaker pipeline and start it: ROLE=arn:… IMAGE=… (ENV=… or STACK=name, PIPELINE_OPTIONS='--network detector')
	$(BIN)/python -m training.aws.pipeline --stack $(ON_STACK) --role $(ROLE) --image $(IMAGE) \
	  $(PIPELINE_OPTIONS)

$(VENV)/aws-training.stamp: $(VENV)/dev.stamp
	infra/install.sh $(VENV) -e '.[local,dev,training,aws-training]'
	touch $@
