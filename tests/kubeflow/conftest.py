"""A server of Kubeflow Pipelines to submit to."""

from collections.abc import Iterator

import pytest

from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.server import KubeflowServer
from tests.kubeflow.api_server.server import Api, api_server


@pytest.fixture
def api() -> Iterator[Api]:
    with api_server() as running:
        yield running


@pytest.fixture
def server(api: Api) -> KubeflowServer:
    return KubeflowServer(Connection(api.url))
