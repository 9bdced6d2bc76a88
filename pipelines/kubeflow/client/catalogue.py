"""Experiments, pipelines and pipeline versions of a server, each created once."""

import os
import tempfile
from collections.abc import Callable

from pipelines.kubeflow.client.api import Api, predicate
from pipelines.kubeflow.client.errors import Conflict
from pipelines.kubeflow.client.submission import Submission


class Catalogue:
    """Finds existing entries and creates missing ones; raises `KubeflowError` as `Api` does."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def experiment(self, name: str) -> str:
        """Returns the id of the experiment with a name."""
        return _once(lambda: self._find_experiment(name), lambda: self._make_experiment(name))

    def version(self, package: Submission) -> dict[str, str]:
        """Returns the package's pipeline version, uploaded unless that content already exists."""
        name = package.name
        pipeline = _once(lambda: self._find_pipeline(name), lambda: self._make_pipeline(name))
        version = _once(
            lambda: self._find_version(pipeline, package.version),
            lambda: self.upload(pipeline, package.version, package.text),
        )
        return {"pipeline_id": pipeline, "pipeline_version_id": version}

    def upload(self, pipeline_id: str, name: str, text: str) -> str:
        """Uploads a package unchanged and returns the version's id."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "package.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            made = self._api.call(
                "upload the package",
                self._api.client.pipeline_uploads.upload_pipeline_version,
                path,
                name=name,
                pipelineid=pipeline_id,
            )
        return str(made.pipeline_version_id)

    def _find_experiment(self, name: str) -> str | None:
        found = self._api.listed(
            "look for an experiment",
            self._api.client.experiments.experiment_service_list_experiments,
            "experiments",
            **self._api.scope(),
            filter=predicate("display_name", name),
        )
        return next((str(one.experiment_id) for one in found), None)

    def _make_experiment(self, name: str) -> str:
        made = self._api.call(
            f"make the experiment {name}",
            self._api.client.experiments.experiment_service_create_experiment,
            experiment={"display_name": name, **self._api.scope()},
        )
        return str(made.experiment_id)

    def _find_pipeline(self, name: str) -> str | None:
        found = self._api.listed(
            "look for a pipeline",
            self._api.client.pipelines.pipeline_service_list_pipelines,
            "pipelines",
            **self._api.scope(),
            filter=predicate("display_name", name),
        )
        return next((str(one.pipeline_id) for one in found), None)

    def _make_pipeline(self, name: str) -> str:
        """Creates a pipeline without a version; an upload would name its first one after it."""
        made = self._api.call(
            f"make the pipeline {name}",
            self._api.client.pipelines.pipeline_service_create_pipeline,
            pipeline={"display_name": name, **self._api.scope()},
        )
        return str(made.pipeline_id)

    def _find_version(self, pipeline_id: str, name: str) -> str | None:
        found = self._api.listed(
            "look for a version of the pipeline",
            self._api.client.pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=pipeline_id,
            filter=predicate("display_name", name),
        )
        return next((str(one.pipeline_version_id) for one in found), None)


def _once(find: Callable[[], str | None], make: Callable[[], str]) -> str:
    """Returns the found id, or creates one; finds again if another client created it meanwhile."""
    if found := find():
        return found
    try:
        return make()
    except Conflict:
        if found := find():
            return found
        raise
