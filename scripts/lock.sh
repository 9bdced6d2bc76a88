#!/bin/sh
# Resolves the requirements of setup.py and requirements/*.in into the locks.
set -eu
cd "$(dirname "$0")/.."
resolve() {
    .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --custom-compile-command "make lock" "$@" >/dev/null
}
# Locks of the images: only the runtime part of the lock above.
resolve_image() {
    resolve setup.py --extra pipeline --constraints requirements/lock.txt --no-annotate \
        --overrides requirements/overrides.in --overrides requirements/image-overrides.in \
        --python .venv/bin/python "$@"
}
resolve "$@" requirements/tools.in --output-file requirements/tools.txt
resolve "$@" requirements/audit.in --output-file requirements/audit.txt
resolve "$@" requirements/docs.in --output-file requirements/docs.txt
resolve "$@" setup.py requirements/dev.in --extra all --overrides requirements/overrides.in \
    --python .venv/bin/python --output-file requirements/lock.txt
resolve_image --output-file requirements/image-gpu.txt
resolve_image requirements/image.in --overrides requirements/image-cpu-overrides.in \
    --output-file requirements/image.txt
