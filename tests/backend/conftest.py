"""The real parts of a cluster, as `make backend` builds them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.cluster import Cluster, cluster_of_context, control_plane, prepare
from tests.backend.processes import absent
from tests.k8s.conftest import render  # noqa: F401

CONTEXT_VARIABLE = "SKYMILL_BACKEND_CONTEXT"
KUBEFLOW_VARIABLE = "SKYMILL_BACKEND_KUBEFLOW"


@pytest.fixture(scope="session")
def tools(repository: Path) -> Path:
    """The folder of the programs that were built."""
    return repository / ".tools" / "backend"


@pytest.fixture(scope="session")
def kubeflow_programs(tools: Path) -> Path:
    """The folder of Kubeflow's programs: the one that was named, else that of those built."""
    return Path(os.environ.get(KUBEFLOW_VARIABLE) or tools / "kubeflow")


@pytest.fixture(scope="session")
def cluster(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of a context that was named, else a control plane on loopback.

    It has the namespaces `kubeflow` and `skymill`, and the resource types of Argo and JobSet.
    """
    if context := os.environ.get(CONTEXT_VARIABLE):
        there = cluster_of_context(context)
        prepare(there, tools)
        yield there
        return
    if reason := absent(tools, "etcd", "kube-apiserver"):
        pytest.skip(reason)
    with control_plane(tools, tmp_path_factory.mktemp("cluster")) as there:
        prepare(there, tools)
        yield there
