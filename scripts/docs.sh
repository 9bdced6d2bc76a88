#!/bin/sh
# Builds the documentation into site/, with Sphinx in a separate environment. Fails on a broken
# link, a page outside the navigation, or a resource loaded from elsewhere.
set -eu
cd "$(dirname "$0")/.."
home=$(sh scripts/tool_env.sh docs)
rm -rf build/docs site
.venv/bin/python -m scripts.docs build/docs
"$home/bin/sphinx-build" --quiet --fail-on-warning --keep-going build/docs site
.venv/bin/python -m scripts.docs.loads site
