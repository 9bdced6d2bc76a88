"""Client of a Kubeflow Pipelines server: submits, finds and inspects runs."""

import datetime
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.api import IS_SUBSTRING, NOT_EQUALS, Api, predicate
from pipelines.kubeflow.client.catalogue import Catalogue
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.definition import Definition, definition_of
from pipelines.kubeflow.client.engine_nodes import EngineNodes
from pipelines.kubeflow.client.engine_workflow import ROOT, EngineWorkflow, workflow_of
from pipelines.kubeflow.client.errors import KubeflowError, NotFound
from pipelines.kubeflow.client.native_tasks import NativeTasks
from pipelines.kubeflow.client.records import FAILED, BackendRecord, plain_state
from pipelines.kubeflow.client.run_state import RunState, run_state_of
from pipelines.kubeflow.client.step_log import read_log
from pipelines.kubeflow.client.submission import SERVICE_ACCOUNT, Submission, Value
from pipelines.kubeflow.contract.package_format import Json
from pipelines.kubeflow.contract.reason import last_reason

#: Error of a run that failed, though no part of it did by the server's answers.
_NOTHING = "none of its steps has failed, and the server does not report what ended it"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,127}")


class KubeflowServer:
    """One server, used by one user.

    Every method raises `KubeflowError`; its `transient` says whether a retry makes sense.

    Attributes:
        api: the calls of the API, for other uses.
        catalogue: experiments, pipelines and versions.
    """

    def __init__(self, connection: Connection) -> None:
        self.api = Api(connection)
        self.catalogue = Catalogue(self.api)
        self._definitions: dict[str, Definition] = {}

    def submit(
        self,
        package: Submission,
        parameters: Mapping[str, Value] | None = None,
        *,
        run_name: str | None = None,
        key: str | None = None,
        experiment: str | None = None,
        service_account: str = SERVICE_ACCOUNT,
        before: Callable[[], None] = lambda: None,
    ) -> str:
        """Starts a run and returns its id.

        Args:
            package: the package; it becomes a version of its pipeline, once for each content.
            parameters: those that differ from the package's defaults.
            run_name: display name; by default the pipeline's name and the time.
            key: idempotency key, such as the data's fingerprint. A run that was submitted with the
                same key is not started again: its id is returned.
            experiment: a name to group runs by; by default the pipeline's.
            service_account: account of the steps' pods; empty leaves it to the cluster.
            before: called just before the request that starts the run; an error that it raises
                prevents the start.
        """
        values = package.parameters(parameters or {})
        if key and (found := self.find_run(key)):
            return found
        now = datetime.datetime.now(datetime.UTC)
        body: dict[str, Any] = {
            "display_name": run_name or f"{package.name} {now:%Y-%m-%d %H:%M:%S}",
            "experiment_id": self.catalogue.experiment(experiment or package.name),
            "pipeline_version_reference": self.catalogue.version(package),
            "runtime_config": {"parameters": values},
        }
        if key:
            body["description"] = _marked(key)
        if service_account:
            body["service_account"] = service_account
        # The calls above may have taken minutes, in which another client may have started it.
        if key and (found := self.find_run(key)):
            return found
        before()
        create = self.api.client.runs.run_service_create_run
        return str(self.api.call(f"start a run of {package.name}", create, run=body).run_id)

    def find_run(self, key: str) -> str | None:
        """Returns the id of the newest run submitted with a key, including archived runs."""
        mark = _marked(key)
        found = self._runs("look for a run", predicate("description", mark, IS_SUBSTRING))
        exact = (run for run in found if mark in (run.description or "").splitlines())
        return next((str(run.run_id) for run in exact), None)

    def run_state(self, run_id: str, *, with_steps: bool = True) -> RunState:
        """Returns the state of a run; for a failed run with the last error of its failed steps.

        A step has failed too if Kubeflow's driver could not prepare it. If no step has failed, the
        run's `error` is that of the pipeline's own driver, or else of the engine.

        Steps are those of the run's package. If the package was deleted, there are none, and
        `error` reports it. Without steps the right to read packages is not needed.
        """
        run = self._run(run_id)
        if not with_steps:
            return run_state_of(run, (), Definition())
        try:
            definition = self._definition(run)
        except NotFound as gone:
            state = run_state_of(run, (), Definition())
            said = f"its steps are not known, since its package is gone: {gone}"
            return replace(state, error=". ".join(filter(None, (state.error, said))))
        record = self._record(run, definition)
        state = run_state_of(run, record.steps(), definition)
        if not state.ended:
            return state
        if state.state == FAILED and not state.failed:
            reason = last_reason(self._log(run_id, record, ROOT), record.failure())
            return replace(state, error=". ".join(filter(None, (state.error, reason or _NOTHING))))
        return state.with_reasons(lambda step: self._log(run_id, record, step))

    def waiting(self, run_id: str) -> dict[str, str]:
        """Returns why pods of a run in progress cannot start, by step or `ROOT`.

        The server reports such a step as running. The reasons are Kubernetes': an image that cannot
        be pulled, no node that fits.
        """
        return self._workflow(run_id).waiting()

    def metrics(self, run_id: str) -> dict[str, float] | None:
        """Returns the metrics of a run, merged over its steps.

        A server without ML Metadata reports them itself. Those of an older one are in the metadata
        store; None if the connection has no address for it.

        Raises:
            KubeflowError: the store cannot be reached, or does not know the run.
        """
        return self._record(self._run(run_id), Definition()).metrics()

    def newest_runs(self, most: int) -> list[RunState]:
        """Returns up to `most` runs that are not archived, newest first, without steps."""
        found = self._runs("list runs", predicate("storage_state", "ARCHIVED", NOT_EQUALS))
        return [
            run_state_of(self.api.tree(run), (), Definition())
            for run in itertools.islice(found, most)
        ]

    def step_logs(self, run_id: str, step: str | None = None) -> dict[str, str]:
        """Returns the logs of the last attempts of a step, or of all that have failed.

        The run is read once. A log that the server no longer has is empty. If a run failed
        outside of all steps, it is the log of the pipeline's driver, `ROOT`.

        Raises:
            ConfigError: the run has no such step, or none that has failed.
        """
        run = self._run(run_id)
        definition = self._definition(run)
        record = self._record(run, definition)
        begun = {one.step: one.state for one in record.steps()}
        names = ", ".join(begun) or "none yet"
        if step is not None and step not in begun:
            raise ConfigError(
                f"the run {run_id} has no step {step!r}; those that have begun: {names}"
            )
        steps = [step] if step is not None else [one for one in begun if begun[one] == FAILED]
        if not steps and plain_state(run.get("state")) == FAILED:
            steps = [ROOT]
        if not steps:
            raise ConfigError(f"no step of the run {run_id} has failed: name one, of {names}")
        return {one: self._log(run_id, record, one) for one in steps}

    def stop(self, run_id: str) -> None:
        """Asks the server to stop a run; its pods get SIGTERM."""
        terminate = self.api.client.runs.run_service_terminate_run
        self.api.call("stop a run", terminate, run_id)

    def retry(self, run_id: str) -> None:
        """Asks the server to run the failed steps of a run again, and those that follow."""
        self.api.call("retry a run", self.api.client.runs.run_service_retry_run, run_id)

    def active_runs(self, recurring_run_id: str) -> list[RunState]:
        """Returns the runs of a schedule that have not ended."""
        found = self._runs(
            "list the runs of a schedule", predicate("recurring_run_id", recurring_run_id)
        )
        states = (run_state_of(self.api.tree(run), (), Definition()) for run in found)
        return [state for state in states if not state.ended]

    def _run(self, run_id: str) -> Json:
        """Returns the server's answer for a run, with its tasks if the server has any."""
        return self.api.get("look at a run", f"runs/{quote(run_id, safe='')}", view="FULL")

    def _record(self, run: Json, definition: Definition) -> BackendRecord:
        """Returns the record in a server's answer for a run, in the form that the server keeps it.

        Args:
            run: the answer with `view=FULL`.
            definition: definition of the run's package; other nodes are not steps.
        """
        run_id = str(run["run_id"])
        if "tasks" in run or "task_count" in run:
            return NativeTasks(run, definition, lambda: self._workflow(run_id))
        metadata = self.api.connection.metadata
        return EngineNodes(run, definition, metadata, lambda: self._workflow(run_id))

    def _workflow(self, run_id: str) -> EngineWorkflow:
        """Returns the engine's workflow of a run; one without nodes if the server refuses it.

        Without it a run's states are known, but not its logs.
        """
        path = f"runs/{quote(run_id, safe='')}"
        try:
            return workflow_of(self.api.get("look at a run's workflow", path, api="v1beta1"))
        except KubeflowError as error:
            if error.transient:
                raise
            return workflow_of({})

    def _log(self, run_id: str, record: BackendRecord, step: str) -> str:
        # The log of an earlier attempt would give the reason of another failure.
        last = record.pods(step)[:1]
        return "".join(read_log(self.api.transport, run_id, pod) for pod in last)

    def _definition(self, run: Json) -> Definition:
        """Returns the definition of a run's package, from the run itself or else its version."""
        if run.get("pipeline_spec"):
            return definition_of(run["pipeline_spec"])
        reference = run.get("pipeline_version_reference") or run.get("pipeline_reference") or {}
        key = reference.get("pipeline_version_id") or ""
        if not key:
            raise NotFound(f"the run {run['run_id']} names no version of a pipeline")
        if key not in self._definitions:
            version = self.api.call(
                "look at the package of a run",
                self.api.client.pipelines.pipeline_service_get_pipeline_version,
                reference["pipeline_id"],
                key,
            )
            self._definitions[key] = definition_of(version.pipeline_spec or {})
        return self._definitions[key]

    def _runs(self, what: str, fitting: str) -> Any:
        """Returns the runs that match a filter, newest first."""
        return self.api.listed(
            what,
            self.api.client.runs.run_service_list_runs,
            "runs",
            **self.api.scope(),
            filter=fitting,
            sort_by="created_at desc",
        )


def _marked(key: str) -> str:
    """Returns the line of a run's description with its key; it has no wildcard characters."""
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{key!r} is not a key of a run: up to 128 letters, digits, dots, colons and hyphens"
        )
    return f"skymill key {key}"
