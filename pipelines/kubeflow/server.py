"""A server of Kubeflow Pipelines: runs are submitted, found again, scheduled and looked at."""

import datetime
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.raster.errors import ConfigError
from pipelines.kubeflow.connection import Connection, IdentityAwareProxy, api_client
from pipelines.kubeflow.refusal import Conflict, Unauthenticated, in_words, web_page
from pipelines.kubeflow.run_state import RunState, run_state_of
from pipelines.kubeflow.schedules import Schedule, Scheduled, Schedules
from pipelines.kubeflow.step_log import reason_of
from pipelines.kubeflow.submission import SERVICE_ACCOUNT, Submission, Value

#: Seconds to connect, and to answer.
_TIMEOUT_S = (10, 60)
_PAGE = 100
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,127}")
_EQUALS, _IS_SUBSTRING = "EQUALS", "IS_SUBSTRING"


class KubeflowServer:
    """One server, asked by one user.

    Every method raises `KubeflowError`; its `transient` says whether trying again makes sense.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._client = api_client(connection)

    def submit(
        self,
        package: Submission,
        parameters: Mapping[str, Value] | None = None,
        *,
        run_name: str | None = None,
        key: str | None = None,
        experiment: str | None = None,
        service_account: str = SERVICE_ACCOUNT,
    ) -> str:
        """Starts a run and returns its id.

        Args:
            package: what to run; it becomes a version of its pipeline, once for each content.
            parameters: those that differ from the package's defaults.
            run_name: how it is shown; default: the pipeline's name and the time.
            key: what the run is for, such as the data's fingerprint. A run that was submitted with
                the same key is not started again: its id is returned.
            experiment: a name to group runs by; default: the pipeline's.
            service_account: of the steps' pods; empty leaves it to the cluster.
        """
        values = package.parameters(parameters or {})
        if key and (found := self.find_run(key)):
            return found
        body = {
            "display_name": run_name or f"{package.name} {_now():%Y-%m-%d %H:%M:%S}",
            "description": _marked(key) if key else None,
            "experiment_id": self.experiment(experiment or package.name),
            "pipeline_version_reference": self.version(package),
            "runtime_config": {"parameters": values},
            "service_account": service_account or None,
        }
        done = self.call(
            f"start a run of {package.name}",
            self._client.runs.run_service_create_run,
            run=_given(body),
        )
        return str(done.run_id)

    def find_run(self, key: str) -> str | None:
        """The id of the newest run that was submitted with a key, archived ones too."""
        mark = _marked(key)
        runs = self.listed(
            "look for a run",
            self._client.runs.run_service_list_runs,
            "runs",
            **self.scope(),
            filter=predicate("description", mark, _IS_SUBSTRING),
            sort_by="created_at desc",
        )
        exact = (run for run in runs if mark in (run.description or "").splitlines())
        return next((str(run.run_id) for run in exact), None)

    def run_state(self, run_id: str) -> RunState:
        """What has become of a run; of one that failed also what its failed steps said last."""
        get = self._client.runs.run_service_get_run
        run = self.call("look at a run", get, run_id=run_id)
        state = run_state_of(run)
        if not state.failed or not state.ended:
            return state
        tasks = run.run_details.task_details
        api: Any = get.__self__.api_client
        return state.with_reasons(lambda step: reason_of(api, run_id, step, tasks))

    def schedule(self, package: Submission, schedule: Schedule, **given: Any) -> Scheduled:
        """Makes a recurring run what is asked for; see `Schedules.put`."""
        return Schedules(self).put(package, schedule, **given)

    def active_runs(self, recurring_run_id: str) -> list[RunState]:
        """The runs of a schedule that have not ended."""
        runs = self.listed(
            "list the runs of a schedule",
            self._client.runs.run_service_list_runs,
            "runs",
            **self.scope(),
            filter=predicate("recurring_run_id", recurring_run_id, _EQUALS),
            sort_by="created_at desc",
        )
        return [state for state in map(run_state_of, runs) if not state.ended]

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, made if there is none."""
        api = self._client.experiments
        if found := self._find_experiment(name):
            return found
        body = _given({"display_name": name, "namespace": self.connection.namespace or None})
        what = f"make the experiment {name}"
        try:
            made = self.call(what, api.experiment_service_create_experiment, experiment=body)
        except Conflict:  # somebody else was faster
            if found := self._find_experiment(name):
                return found
            raise
        return str(made.experiment_id)

    def version(self, package: Submission) -> dict[str, str]:
        """The package as a version of its pipeline, uploaded unless that content is there."""
        pipeline = self._pipeline(package.name)
        found = self._find_version(pipeline, package.version)
        if found is None:
            try:
                found = self.upload(pipeline, package.version, package.text)
            except Conflict:
                found = self._find_version(pipeline, package.version)
                if found is None:
                    raise
        return {"pipeline_id": pipeline, "pipeline_version_id": found}

    def upload(self, pipeline_id: str, name: str, text: str) -> str:
        """Uploads a package as it is and returns the version's id."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "package.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            made = self.call(
                "upload the package",
                self._client.pipeline_uploads.upload_pipeline_version,
                path,
                name=name,
                pipelineid=pipeline_id,
            )
        return str(made.pipeline_version_id)

    def scope(self) -> dict[str, str]:
        """The namespace, for calls that list."""
        return {"namespace": self.connection.namespace} if self.connection.namespace else {}

    def call(self, what: str, method: Callable[..., Any], *args: Any, **given: Any) -> Any:
        """Calls the API; `what` names it in messages."""
        api: Any = method.__self__.api_client  # type: ignore[attr-defined]
        try:
            return self._once(what, api, method, *args, **given)
        except Unauthenticated:
            if not isinstance(self.connection.credentials, IdentityAwareProxy):
                raise
            # Its tokens last an hour, and a run may take longer to follow.
            api.configuration.api_key = _configuration(api_client(self.connection)).api_key
            return self._once(what, api, method, *args, **given)

    def _once(
        self, what: str, api: Any, method: Callable[..., Any], *args: Any, **given: Any
    ) -> Any:
        with in_words(what, self.connection.endpoint):
            answer = method(*args, **given, _request_timeout=_TIMEOUT_S)
        if "json" not in (api.last_response.getheader("content-type") or ""):
            raise web_page(what, self.connection.endpoint)
        return answer

    def listed(
        self, what: str, method: Callable[..., Any], part: str, **given: Any
    ) -> Iterator[Any]:
        """All that a listing has, page by page."""
        token = ""
        while True:
            page = self.call(what, method, page_token=token, page_size=_PAGE, **given)
            yield from getattr(page, part) or []
            token = page.next_page_token or ""
            if not token:
                return

    @property
    def client(self) -> Any:
        """Kubeflow's own client (`kfp.Client`), for what is not here."""
        return self._client

    def _find_experiment(self, name: str) -> str | None:
        found = self.listed(
            "look for an experiment",
            self._client.experiments.experiment_service_list_experiments,
            "experiments",
            **self.scope(),
            filter=predicate("display_name", name, _EQUALS),
        )
        return next((str(one.experiment_id) for one in found), None)

    def _pipeline(self, name: str) -> str:
        """The id of the pipeline, made empty if there is none: an upload would name it twice."""
        api = self._client.pipelines
        if found := self._find_pipeline(name):
            return found
        body = _given({"display_name": name, "namespace": self.connection.namespace or None})
        what = f"make the pipeline {name}"
        try:
            made = self.call(what, api.pipeline_service_create_pipeline, pipeline=body)
        except Conflict:
            if found := self._find_pipeline(name):
                return found
            raise
        return str(made.pipeline_id)

    def _find_pipeline(self, name: str) -> str | None:
        found = self.listed(
            "look for a pipeline",
            self._client.pipelines.pipeline_service_list_pipelines,
            "pipelines",
            **self.scope(),
            filter=predicate("display_name", name, _EQUALS),
        )
        return next((str(one.pipeline_id) for one in found), None)

    def _find_version(self, pipeline_id: str, name: str) -> str | None:
        found = self.listed(
            "look for a version of the pipeline",
            self._client.pipelines.pipeline_service_list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=pipeline_id,
            filter=predicate("display_name", name, _EQUALS),
        )
        return next((str(one.pipeline_version_id) for one in found), None)


def predicate(key: str, value: str, operation: str) -> str:
    """A filter as the API takes it."""
    one = {"operation": operation, "key": key, "stringValue": value}
    return json.dumps({"predicates": [one]})


def _configuration(client: Any) -> Any:
    return client.runs.run_service_get_run.__self__.api_client.configuration


def _marked(key: str) -> str:
    """The line of a run's description that holds its key; no character of it is a wildcard."""
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{key!r} is no key of a run: up to 128 letters, digits, dots, colons and hyphens"
        )
    return f"skymill key {key}"


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
