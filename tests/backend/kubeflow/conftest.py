"""Kubeflow Pipelines for the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backend.cluster import Cluster
from tests.backend.kubeflow.database import database_program
from tests.backend.kubeflow.installation import PROGRAMS, Kubeflow, kubeflow
from tests.backend.kubelet import unable
from tests.backend.processes import absent
from tests.k8s.conftest import Manifests
from tests.kubeflow.land_cover import make_images


@pytest.fixture(scope="package")
def installation(
    cluster: Cluster,
    tools: Path,
    kubeflow_programs: Path,
    repository: Path,
    render: Callable[[str], Manifests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kubeflow]:
    """Kubeflow Pipelines, with images on a volume; it ends with this folder's tests."""
    if reason := unable(cluster) or absent(tools, "workflow-controller", "argoexec"):
        pytest.skip(reason)
    if missing := absent(kubeflow_programs, *PROGRAMS):
        unbuilt = kubeflow_programs / "unbuilt"
        pytest.skip(unbuilt.read_text() if unbuilt.exists() else missing)
    if not database_program():
        pytest.skip("needs mariadbd")
    cluster.apply(*render("pipeline").accounts())
    folder = tmp_path_factory.mktemp("kubeflow")
    with kubeflow(cluster, tools, kubeflow_programs, repository, folder) as found:
        make_images(found.kubelet.claims / "data" / "images")
        yield found
