#!/bin/sh
# Makes a cluster of kind with Kubeflow Pipelines, the claim `data` and the image of this checkout:
#
#     sh tests/backend/kubeflow/kind.sh
#     make backend CONTEXT=kind-skymill IMAGE=skymill/pipeline:backend CLAIM=/tmp/skymill-claim
#
# It needs Docker, kind, kubectl and the network. `kind delete cluster --name skymill` removes it all.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
release=2.17.0
image=skymill/pipeline:backend
manifests=github.com/kubeflow/pipelines/manifests/kustomize

# there WORDS: kubectl on the new cluster.
there() {
    kubectl --context kind-skymill "$@"
}

install -d -m 777 /tmp/skymill-claim
kind create cluster --name skymill --config "$here/kind.yaml"
there apply -k "$manifests/cluster-scoped-resources?ref=$release"
there wait --for=condition=Established --timeout=60s crd --all
there apply -k "$manifests/env/platform-agnostic?ref=$release"
there apply -f "$here/kind_claim.yaml"
docker build -q -f "$here/../../../docker/Dockerfile" --target pipeline -t "$image" "$here/../../.."
kind load docker-image --name skymill "$image"
there -n kubeflow wait --for=condition=Available --timeout=900s deployment \
    ml-pipeline ml-pipeline-persistenceagent ml-pipeline-scheduledworkflow \
    metadata-grpc-deployment seaweedfs workflow-controller
