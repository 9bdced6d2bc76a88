#!/bin/sh
# Holds every folder of k8s/ that is applied against checkov's rules, in an environment of its own.
set -eu
cd "$(dirname "$0")/.."
home=.tools/audit
if [ ! "$home/.ready" -nt requirements/audit.txt ]; then
    .tools/uv/bin/uv venv --quiet --clear --python .venv/bin/python "$home"
    .tools/uv/bin/uv pip sync --quiet --python "$home/bin/python" --require-hashes \
        requirements/audit.txt
    touch "$home/.ready"
fi
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for folder in volume pipeline beam-flink overlays/local overlays/production overlays/bucket \
    trigger/deployment trigger/cronjob tuner workers loader; do
    .venv/bin/kubectl kustomize "k8s/$folder" >"$rendered/$(basename "$folder").yaml"
done
"$home/bin/checkov" --config-file k8s/checkov.yaml --directory "$rendered"
