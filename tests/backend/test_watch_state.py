"""The watch's state in a ConfigMap of a real API server, which alone decides who wrote first."""

from collections.abc import Callable

import pytest
from kubernetes import client

from pipelines.watch.configmap_store import ConfigMapStore
from pipelines.watch.state import WatchError
from tests.backend.cluster import Cluster
from tests.k8s.conftest import Manifests
from tests.watch.writers import attempts_counted_by_writers

pytestmark = pytest.mark.backend

NAME = "skymill-watch"


@pytest.fixture
def store(cluster: Cluster, render: Callable[[str], Manifests]) -> Callable[[], ConfigMapStore]:
    """Opens the store of k8s/trigger/base with the account of a watch."""
    manifests = render("trigger/deployment")
    [state] = [one for one in manifests.of("ConfigMap") if one["metadata"]["name"] == NAME]
    core = client.CoreV1Api(cluster.client())
    core.delete_collection_namespaced_config_map("kubeflow", field_selector=f"metadata.name={NAME}")
    cluster.apply(state, *manifests.accounts())
    return lambda: ConfigMapStore(
        client.CoreV1Api(cluster.account_client(NAME)), "kubeflow", NAME, "land"
    )


def test_of_two_that_read_one_version_the_second_writer_is_refused(
    store: Callable[[], ConfigMapStore],
) -> None:
    one, other = store(), store()
    version = one.read().version
    assert other.read().version == version
    assert one.write('{"a": 1}', version)
    assert not other.write('{"a": 2}', version)
    assert other.read().text == '{"a": 1}'


def test_the_server_itself_refuses_a_late_replacement(
    cluster: Cluster, store: Callable[[], ConfigMapStore]
) -> None:
    """Between reading again and replacing, where only the server can tell: 409."""

    class Late:
        """The API, with another writer between a look and the replacement."""

        def __init__(self, api: client.CoreV1Api) -> None:
            self._api = api
            self.read_namespaced_config_map = api.read_namespaced_config_map

        def replace_namespaced_config_map(self, *given: object, **options: object) -> object:
            other = store()
            assert other.write("another's", other.read().version)
            return self._api.replace_namespaced_config_map(*given, **options)

    api = Late(client.CoreV1Api(cluster.account_client(NAME)))
    late = ConfigMapStore(api, "kubeflow", NAME, "land")
    assert not late.write("mine", late.read().version)
    assert store().read().text == "another's"


def test_no_change_is_lost_among_writers(store: Callable[[], ConfigMapStore]) -> None:
    assert attempts_counted_by_writers(store) == 15


def test_another_configmap_is_none_of_its_business(
    cluster: Cluster, store: Callable[[], ConfigMapStore]
) -> None:
    store()
    api = client.CoreV1Api(cluster.account_client(NAME))
    with pytest.raises(WatchError, match="403 Forbidden"):
        ConfigMapStore(api, "kubeflow", "kube-root-ca.crt", "land").read()


def test_another_apply_of_the_manifest_keeps_what_the_watch_wrote(
    cluster: Cluster, store: Callable[[], ConfigMapStore], render: Callable[[str], Manifests]
) -> None:
    assert store().write("kept", store().read().version)
    [state] = [
        one
        for one in render("trigger/deployment").of("ConfigMap")
        if one["metadata"]["name"] == NAME
    ]
    cluster.apply(state)
    assert store().read().text == "kept"
