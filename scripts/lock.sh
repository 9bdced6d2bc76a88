#!/bin/sh
# Resolves the requirements of setup.py and requirements/*.in into the locks.
set -eu
cd "$(dirname "$0")/.."
resolve() {
    .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --custom-compile-command "make lock" "$@" >/dev/null
}
resolve "$@" requirements/tools.in --output-file requirements/tools.txt
resolve "$@" requirements/audit.in --output-file requirements/audit.txt
resolve "$@" setup.py requirements/dev.in --extra all --overrides requirements/overrides.in \
    --python .venv/bin/python --output-file requirements/lock.txt
