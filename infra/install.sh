#!/bin/sh
# Installs packages into the virtual environment $1: by uv, which takes a third of pip's time, or else by pip, since uv
# does not read pip's configuration, such as a company's index.
set -eu
environment=$1
shift
.venv/bin/uv pip install --quiet --compile-bytecode --python "$environment/bin/python" "$@" ||
  "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"
