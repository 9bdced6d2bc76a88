#!/bin/sh
# Checks every applicable folder of k8s/ against checkov's rules, in a separate environment.
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
