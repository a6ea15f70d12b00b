#!/usr/bin/env bash
# Build the images and test them in Docker, as `make test-container` does.
# CI=1: install what is missing (Docker, debootstrap), as root on a Debian, and start the engine.
# BASE_IMAGE: what to build upon. By default AWS's own; where no registry can be reached, a stand-in that
# ../shared/container/make_base.sh makes, if that is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

STAND_IN=lambda-python:3.13
MAKE_STAND_IN=../shared/container/make_base.sh

skip() {
  echo "SKIPPED: container tests: $1"
  exit 0
}

may_install() { [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

if ! docker info >/dev/null 2>&1; then
  may_install || skip "no Docker engine answers (CI=1 installs one, as root on a Debian)"
  command -v dockerd >/dev/null || install docker.io iptables
  setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && break
    sleep 1
  done
  docker info >/dev/null 2>&1 || skip "the Docker engine does not start; see /var/log/dockerd.log"
fi

# SageMaker's local mode starts its containers with Compose.
docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || { may_install && install docker-compose; } || true

limit=$(command -v timeout || command -v gtimeout || true) # macOS has none
if [ -z "${BASE_IMAGE:-}" ]; then
  BASE_IMAGE=$(sed -n 's/^ARG BASE_IMAGE=//p' functions/inference/Dockerfile)
  if ! docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 && ! ${limit:+"$limit" 300} docker pull -q "$BASE_IMAGE"; then
    BASE_IMAGE=$STAND_IN
    export TRAINING_BASE_IMAGE=$STAND_IN
    if ! docker image inspect "$BASE_IMAGE" >/dev/null 2>&1; then
      [ -x "$MAKE_STAND_IN" ] || skip "neither a registry nor a stand-in for the base image"
      command -v debootstrap >/dev/null || { may_install && install debootstrap; } || skip "debootstrap is missing"
      python=$(dirname "$SAM")/python
      rie=$("$python" -c 'import samcli; print(samcli.__path__[0] + "/local/rapid/aws-lambda-rie-x86_64")')
      "$MAKE_STAND_IN" trixie "$BASE_IMAGE" "$rie"
    fi
  fi
fi

export SAM BASE_IMAGE SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
exec "$PYTHON" -m pytest tests/container "$@"
