#!/bin/sh
# Builds the documentation into site/, with Sphinx in an environment of its own.
# A broken link, a page outside the navigation or a load from elsewhere fails.
set -eu
cd "$(dirname "$0")/.."
home=$(sh scripts/tool_env.sh docs)
rm -rf build/docs site
.venv/bin/python -m scripts.docs build/docs
"$home/bin/sphinx-build" --quiet --fail-on-warning --keep-going build/docs site
.venv/bin/python -m scripts.docs.loads site
