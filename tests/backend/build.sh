#!/bin/sh
# Builds what tests/backend runs, into .tools/backend, from the Go modules that the go.mod files beside
# this script pin: etcd, kube-apiserver, kube-controller-manager, JobSet's controller, Argo's
# workflow-controller and executor, and the resource types of Argo Workflows and JobSet. With a context of
# kubectl's as argument only the types: its cluster takes the place of the servers.
# Go's cache makes a second call quick.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
context=${1:-}
mkdir -p "$here/../../.tools/backend/crds"
tools=$(cd "$here/../../.tools/backend" && pwd)

command -v go >/dev/null || {
    echo "make backend needs Go: https://go.dev/dl" >&2
    exit 1
}

# build NAME PACKAGE, in the folder of a module.
build() {
    echo "go build $2"
    go build -buildvcs=false -trimpath -ldflags "-s -w" -o "$tools/$1" "$2"
}

# definitions MODULE FOLDER: the resource types that a module defines.
definitions() {
    go mod download "$1"
    install -m 644 "$(go list -m -f '{{.Dir}}' "$1")/$2"/*_*.yaml "$tools/crds"
}

cd "$here/argo"
definitions github.com/argoproj/argo-workflows/v4 manifests/base/crds/minimal
cd "$here/jobset"
definitions sigs.k8s.io/jobset config/components/crd/bases
[ -z "$context" ] || exit 0

# What registers the webhooks that are served by the controller.
rm -rf "$tools/jobset-webhooks"
cp -R "$(go list -m -f '{{.Dir}}' sigs.k8s.io/jobset)/config/components/webhook" "$tools/jobset-webhooks"
chmod -R u+w "$tools/jobset-webhooks"
build jobset-controller sigs.k8s.io/jobset

cd "$here/kubernetes"
build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager

# In the repository of Argo a file of its executor is a link to the one for macOS, and modules of Go have no
# links. It is put back in a copy of the module.
cd "$here/argo"
argo=github.com/argoproj/argo-workflows/v4
go mod download $argo
sources=$(mktemp -d)
trap 'chmod -R u+w "$sources"; rm -rf "$sources"' EXIT
cp -R "$(go list -m -f '{{.Dir}}' $argo)" "$sources/argo"
chmod -R u+w "$sources/argo"
(cd "$sources/argo/workflow/executor/osspecific" && cp signal_darwin.go signal_linux.go)
cp go.mod go.sum "$sources"
go mod edit -replace $argo="$sources/argo" "$sources/go.mod"
export GOFLAGS="${GOFLAGS:-} -modfile=$sources/go.mod"
build workflow-controller $argo/cmd/workflow-controller
build argoexec $argo/cmd/argoexec
