#!/bin/sh
# Builds what tests/backend/kubeflow runs, into .tools/backend/kubeflow: the programs of a release of
# Kubeflow Pipelines. Its tags are no versions of Go's and its go.mod replaces modules by folders, so its
# sources come from its repository, at a commit that is named here.
#
#     sh tests/backend/kubeflow.sh [REPOSITORY [COMMIT]]
#
# Where they cannot be built it says why, for the tests too, and ends well: those tests are skipped.
# The sources stay, so a second call needs no repository, and Go's cache makes it quick.
set -eu
repository=${1:-https://github.com/kubeflow/pipelines}
commit=${2:-4a3592cb2dd0a91a4652ab93893ec8beda1f3158} # the tag 2.17.0
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../.tools/backend/kubeflow/sources"
tools=$(cd "$here/../../.tools/backend/kubeflow" && pwd)
sources=$tools/sources

# Programs of another commit must not stay and pass for those of this one.
rm -f "$tools/apiserver" "$tools/unbuilt"

# leave REASON
leave() {
    echo "Kubeflow Pipelines is not built, and its tests are skipped: $1"
    echo "$1" >"$tools/unbuilt"
    exit 0
}

[ "$(id -u)" = 0 ] || leave "the node of its tests needs root on Linux"
command -v git >/dev/null || leave "it needs git"
PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec command -v mariadbd >/dev/null ||
    leave "it needs MariaDB, the package mariadb-server"

[ -d "$sources/.git" ] || git init -q "$sources"
cd "$sources"
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "git fetch $repository"
    GIT_TERMINAL_PROMPT=0 git fetch -q --depth 1 "$repository" "$commit" ||
        leave "$repository does not give the commit $commit"
fi
git checkout -q --force "$commit"
[ "$(git rev-parse HEAD)" = "$commit" ] || leave "$commit is no commit's whole name"

# The workflows' types are those of the controller that the tests run.
argo=github.com/argoproj/argo-workflows/v4
version=$(cd "$here/argo" && go list -m -f '{{.Version}}' $argo)
cp go.mod "$tools/programs.mod"
cp go.sum "$tools/programs.sum"
go mod edit -require="$argo@$version" "$tools/programs.mod"
export GOFLAGS="${GOFLAGS:-} -mod=mod -modfile=$tools/programs.mod"

# build NAME PACKAGE
build() {
    echo "go build $2"
    go build -buildvcs=false -trimpath -ldflags "-s -w" -o "$tools/$1" "./backend/src/$2"
}

build driver v2/cmd/driver
build launcher-v2 v2/cmd/launcher-v2
build persistence_agent agent/persistence
build controller crd/controller/scheduledworkflow
build apiserver apiserver
