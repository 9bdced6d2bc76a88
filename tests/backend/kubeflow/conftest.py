"""Kubeflow Pipelines for the tests of this folder."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backend.cluster import Cluster
from tests.backend.kubeflow.context import installed, place_from
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
    """Kubeflow Pipelines, with images on a volume: that of a context, else one on loopback."""
    folder = tmp_path_factory.mktemp("kubeflow")
    if not cluster.own:
        if not (place := place_from(os.environ)):
            pytest.skip("needs IMAGE, the image of steps on the cluster")
        cluster.apply(*render("pipeline").accounts())
        with installed(cluster, place, folder) as found:
            if found.claim:
                make_images(found.claim / "images", found.seed)
            yield found
        return
    if reason := unable(cluster) or absent(tools, "workflow-controller", "argoexec"):
        pytest.skip(reason)
    if missing := absent(kubeflow_programs, *PROGRAMS):
        unbuilt = kubeflow_programs / "unbuilt"
        pytest.skip(unbuilt.read_text() if unbuilt.exists() else missing)
    if not database_program():
        pytest.skip("needs mariadbd")
    cluster.apply(*render("pipeline").accounts())
    with kubeflow(cluster, tools, kubeflow_programs, repository, folder) as found:
        make_images(found.data / "images")
        yield found
