#!/bin/sh
# Holds every folder of k8s/ that is applied against checkov's rules, in an environment of its own.
set -eu
cd "$(dirname "$0")/.."
home=$(sh scripts/tool_env.sh audit)
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for folder in volume pipeline beam-flink overlays/local overlays/production overlays/bucket \
    trigger/deployment trigger/cronjob tuner workers loader; do
    .venv/bin/kubectl kustomize "k8s/$folder" >"$rendered/$(basename "$folder").yaml"
done
"$home/bin/checkov" --config-file k8s/checkov.yaml --directory "$rendered"
