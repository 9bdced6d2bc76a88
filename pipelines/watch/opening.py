"""Opens the state store and the target that a configuration names."""

import os
from collections.abc import Mapping

from pipelines.config.tree import PipelineConfig
from pipelines.config.watch import ConfigMapState, ObjectState
from pipelines.definition.kinds import Kind, name_of
from pipelines.definition.resolve import prediction_of
from pipelines.watch.source import PolledSource, WatchedData
from pipelines.watch.state_store import BucketStore, OwnedDocumentStore, StateStore
from pipelines.watch.target import RunTarget


def open_source(config: PipelineConfig, kind: Kind = "training") -> PolledSource:
    """Opens the source, whose fingerprint is the one that runs of the pipeline report.

    Raises:
        ConfigError: the source cannot have a marker, or there is nothing to predict.
    """
    data, marker = watched_data(config, kind), config.watch.marker
    return PolledSource(data, marker, by_content=kind == "training")


def watched_data(config: PipelineConfig, kind: Kind) -> WatchedData:
    """Returns the data that a pipeline of the configuration reads.

    Raises:
        ConfigError: there is nothing to predict.
    """
    return config.ingest if kind == "training" else prediction_of(config).without_truth()


def open_store(config: PipelineConfig, kind: Kind = "training") -> StateStore:
    """Opens the state store; imports only the libraries that its kind needs.

    Each pipeline of a configuration has a state of its own.

    Raises:
        WatchError: no cluster is reachable for a ConfigMap.
    """
    state = config.watch.state
    if isinstance(state, ConfigMapState):
        from pipelines.watch.configmap_store import ConfigMapStore, cluster_api

        api, namespace = cluster_api()
        return ConfigMapStore(api, state.namespace or namespace, state.name, name_of(config, kind))
    if isinstance(state, ObjectState):
        return OwnedDocumentStore(BucketStore(state.uri), name_of(config, kind))
    from pipelines.watch.sqlite_store import SqliteStore

    path = state.path or os.path.join(config.workspace, "watch.sqlite")
    return SqliteStore(path, name_of(config, kind))


def open_target(
    config: PipelineConfig,
    config_path: str,
    environment: Mapping[str, str],
    kind: Kind = "training",
) -> RunTarget:
    """Opens the target that starts runs.

    Raises:
        ConfigError: the environment names no Kubeflow Pipelines server.
    """
    if config.watch.target == "kubeflow":
        from pipelines.kubeflow.client.connection import connection_from
        from pipelines.kubeflow.client.server import KubeflowServer
        from pipelines.kubeflow.client.submission import SERVICE_ACCOUNT
        from pipelines.watch.kubeflow_target import KubeflowTarget

        server = KubeflowServer(connection_from(environment))
        watch = config.watch
        account = SERVICE_ACCOUNT if watch.service_account is None else watch.service_account
        return KubeflowTarget(server, config_path, watch.package, account, kind)
    from pipelines.watch.local_target import LocalTarget

    return LocalTarget(config_path, config.workspace, kind=kind)
