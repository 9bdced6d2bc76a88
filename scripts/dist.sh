#!/bin/sh
# Builds wheel and source distribution, tests the wheel in a separate environment, and lists its
# dependencies (CycloneDX), all in dist/.
set -eu
cd "$(dirname "$0")/.."
uv=$PWD/.tools/uv/bin/uv
python=$PWD/.venv/bin/python
rm -rf dist build
"$uv" build --quiet --python "$python" --out-dir dist
"$uv" tool run --quiet --python "$python" twine==6.2.0 check --strict dist/*.whl dist/*.tar.gz

empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
"$uv" venv --quiet --python "$python" "$empty/venv"
wheel=$(ls "$PWD"/dist/skymill-*.whl)
# The lock as the set-up adapted it to this system: on an older one, two wheels are local files.
"$uv" pip install --quiet --python "$empty/venv/bin/python" \
    --overrides requirements/overrides.in --constraints .venv/lock.txt "${wheel}[pipeline]"
"$uv" tool run --quiet --python "$python" --from cyclonedx-bom==7.2.1 cyclonedx-py environment \
    "$empty/venv/bin/python" --output-reproducible -o dist/skymill.cdx.json
(
    cd "$empty"
    venv/bin/skymill --help >help.txt
    venv/bin/skymill demo
)
ls -l dist
