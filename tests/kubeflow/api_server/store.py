"""The API server's objects, and its controller of schedules."""

import datetime
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import yaml

from tests.kubeflow.api_server import engine, models, native
from tests.kubeflow.api_server.cron import Cron
from tests.kubeflow.api_server.refusals import ABORTED, Refusal, exists, invalid, not_found
from tests.kubeflow.api_server.template import check_parameters, check_runnable, read_template

Json = dict[str, Any]

ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


class Store:
    """Pipelines, versions, experiments, runs and recurring runs, in memory.

    Attributes:
        multi_user: whether everything belongs to a namespace.
        old: whether it is a server that knows no fields newer than 2.5.
        mlmd: whether it is a server with ML Metadata, up to 2.17; later ones return tasks.
        clock: the time in seconds since 1970; tests put their own.
        lost: the recurring runs whose objects in the cluster are gone.
        deletes_lost: whether it deletes those; releases differ.
        execute: called with the run, the package and all parameters of each new run.
    """

    def __init__(
        self,
        *,
        multi_user: bool = False,
        old: bool = False,
        mlmd: bool = True,
        clock: Callable[[], float] = time.time,
        execute: Callable[[Json, str, Json], None] | None = None,
    ) -> None:
        self.multi_user, self.old, self.mlmd = multi_user, old, mlmd
        self.clock, self.execute = clock, execute
        self.pipelines: dict[str, Json] = {}
        self.versions: dict[str, Json] = {}
        self.texts: dict[str, str] = {}
        self.experiments: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.recurring: dict[str, Json] = {}
        self.lost: set[str] = set()
        self.deletes_lost = False
        self.logs: dict[tuple[str, str], str] = {}
        self.tasks: dict[str, list[Json]] = {}
        self.workflows: dict[str, Json] = {}
        self._last: dict[str, float] = {}
        self._order = itertools.count()
        self._lock = threading.RLock()

    def create_experiment(self, body: Json) -> Json:
        name, namespace = body.get("display_name", ""), self._namespace(body)
        if not name:
            raise invalid("Experiment must have a non-empty name")
        if any(
            (one["display_name"], one["namespace"]) == (name, namespace)
            for one in self.experiments.values()
        ):
            raise exists(f"The name {name} already exists. Please specify a new name")
        return self._put(
            self.experiments, "experiment_id", {"display_name": name, "namespace": namespace}
        )

    def create_pipeline(self, body: Json) -> Json:
        name = body.get("name") or body.get("display_name", "")
        failed = "Failed to create a pipeline due to server error"
        if not name:
            raise invalid("name is required").within(failed)
        if any(one["name"] == name for one in self.pipelines.values()):
            said = f"Failed to create a new pipeline. The name {name} already exist. "
            said += "Please specify a new name"
            inner = exists(said).within("Failed to create a pipeline in PipelineStore")
            raise inner.within(failed)
        made = {"name": name, "display_name": name, "namespace": self._namespace(body)}
        return self._put(self.pipelines, "pipeline_id", made)

    def upload_version(self, pipeline_id: str, name: str, text: str) -> Json:
        """Uploads answer with less: the outermost reason, or only that it failed."""
        if pipeline_id not in self.pipelines:
            raise Refusal(3, "Failed to create a pipeline version")
        try:
            read_template(text, old=self.old)
        except Refusal as error:
            said = error.message.removeprefix("InvalidInputError: ")
            said = said.removeprefix("Invalid input error: ")
            raise Refusal(3, said.removesuffix(": pipeline spec is invalid")) from error
        if any(
            (one["pipeline_id"], one["name"]) == (pipeline_id, name)
            for one in self.versions.values()
        ):
            raise Refusal(6, "Failed to create a pipeline version")
        made = {"pipeline_id": pipeline_id, "name": name, "display_name": name}
        version = self._put(self.versions, "pipeline_version_id", made)
        self.texts[version["pipeline_version_id"]] = text
        return version

    def create_run(self, body: Json) -> Json:
        try:
            return self._create_run(body)
        except Refusal as error:
            if error.message.startswith("Internal error: "):  # the compiler's reach it bare
                raise
            raise error.within("Failed to create a new run") from error

    def _create_run(self, body: Json) -> Json:
        if not body.get("display_name"):
            raise invalid("The run name is empty. Please specify a valid name")
        self._check_experiment(body)
        text = self._text(body, "Failed to create a run due to error fetching manifest")
        spec, platform = read_template(text, old=self.old)
        parameters = (body.get("runtime_config") or {}).get("parameters") or {}
        check_parameters(spec, parameters)
        check_runnable(spec, platform, old=self.old)
        known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        values = {name: one.get("defaultValue") for name, one in known.items()} | parameters
        run = self._put(
            self.runs,
            "run_id",
            {
                **body,
                "state": "PENDING",
                "storage_state": "AVAILABLE",
                "scheduled_at": self._now(),
                "finished_at": "1970-01-01T00:00:00Z",
                "service_account": body.get("service_account") or "pipeline-runner",
            },
        )
        if self.execute:
            self.execute(run, text, values)
        return run

    def create_recurring(self, body: Json) -> Json:
        mode = body.get("mode", "MODE_UNSPECIFIED")
        if mode not in ("MODE_UNSPECIFIED", "ENABLE", "DISABLE"):
            raise Refusal(3, f'proto: (line 1:2): invalid value for enum field mode: "{mode}"')
        try:
            self._check_recurring(body)
        except Refusal as error:
            raise error.within(
                "Failed to create a recurring run due to conversion error"
            ) from error
        self._check_experiment(body)
        text = self._text(
            body, "Failed to create a recurring run with an invalid pipeline spec manifest"
        )
        spec, platform = read_template(text, old=self.old)
        check_parameters(spec, (body.get("runtime_config") or {}).get("parameters") or {})
        check_runnable(spec, platform, old=self.old)
        status = "ENABLED" if mode == "ENABLE" else "DISABLED"
        account = body.get("service_account") or "pipeline-runner"
        made = {**body, "status": status, "service_account": account}
        made["updated_at"] = self._now()
        return self._put(self.recurring, "recurring_run_id", made)

    def _check_recurring(self, body: Json) -> None:
        if not body.get("display_name"):
            said = "Failed to convert a API recurring run to its internal representation"
            raise invalid("Recurring run's name cannot be empty").as_internal(said)
        most = int(body.get("max_concurrency") or 0)
        if not 1 <= most <= 10:
            raise invalid(
                "Max concurrency of a recurring run must be at least 1 and at most 10. Received "
                f"{most}"
            )
        trigger = body.get("trigger") or {}
        if cron := trigger.get("cron_schedule"):
            Cron.parse(cron.get("cron", ""))
        elif int((trigger.get("periodic_schedule") or {}).get("interval_second") or 0) < 1:
            interval = int((trigger.get("periodic_schedule") or {}).get("interval_second") or 0)
            raise invalid(
                f"Found invalid period schedule interval {interval}. Set at interval to least 1 "
                "second"
            )

    def set_mode(self, recurring_run_id: str, mode: str) -> Json:
        try:
            one = self.get(self.recurring, recurring_run_id, "Job")
        except Refusal as error:
            enabled = str(mode == "ENABLE").lower()
            inner = f"Failed to change recurring run's mode to enable:{enabled}. "
            inner += f"Check if recurring run {recurring_run_id} exists"
            raise error.within(inner).within(f"Failed to {mode.lower()} a recurring run") from error
        if recurring_run_id in self.lost:
            said = f"Failed to enable recurring run {recurring_run_id}. Check if the scheduled "
            said += "workflow exists"
            if mode == "DISABLE":
                said = f"Failed to change recurring run's {recurring_run_id} mode to enable:false"
            raise _no_object(one, said)
        one.update(mode=mode, status=f"{mode}D", updated_at=self._now())
        return {}

    def delete_recurring(self, recurring_run_id: str) -> Json:
        """The workflows of a schedule belong to it, so those that run end with it."""
        one = self.get(self.recurring, recurring_run_id, "Job")
        if recurring_run_id in self.lost and not self.deletes_lost:
            raise _no_object(one, f"Failed to delete recurring run {recurring_run_id}")
        del self.recurring[recurring_run_id]
        for run in self.active(recurring_run_id):
            run["state"] = "CANCELED"
        return {}

    def get(self, where: dict[str, Json], key: str, noun: str) -> Json:
        if key not in where:
            raise not_found(f"{noun} {key} not found")
        return where[key]

    def terminate(self, run_id: str) -> Json:
        """The row of a run that has ended does not fit the server's update."""
        run = self._run(run_id, "terminate")
        if run["state"] not in ("PAUSED", "PENDING", "RUNNING"):
            said = invalid(f"Failed to terminate a run {run_id}. Row not found")
            raise said.within(f"Failed to terminate run {run_id}").within(
                "Failed to terminate a run"
            )
        run["state"] = "CANCELING"
        return {}

    def retry(self, run_id: str) -> Json:
        """Begins the failed nodes of a failed workflow anew; those that succeeded are kept."""
        run = self._run(run_id, "retry")
        if run["state"] != "FAILED":
            said = "Workflow must be Failed/Error to retry: workflow cannot be retried"
            inner = Refusal(ABORTED, f"BadRequestError: {said}")
            raise inner.within(f"Failed to retry run {run_id}").within("Failed to retry a run")
        run["state"] = "RUNNING"
        return {}

    def _run(self, run_id: str, verb: str) -> Json:
        try:
            return self.get(self.runs, run_id, "Run")
        except Refusal as error:
            inner = error.within(f"Failed to fetch run {run_id}")
            inner = inner.within(f"Failed to {verb} run {run_id} due to error fetching the run")
            raise inner.within(f"Failed to {verb} a run") from error

    def shown_run(self, run_id: str, view: str) -> Json:
        """Returns a run as `GET` does: without ML Metadata with its tasks, counted or in full."""
        try:
            found = self.get(self.runs, run_id, "Run")
        except Refusal as error:
            inner = error.within(f"Failed to fetch run {run_id}")
            raise inner.within("Failed to get a run") from error
        shown = models.response("V2beta1Run", **found)
        tasks = self.tasks.get(run_id, [])
        if self.mlmd or not tasks:  # empty fields are left out
            return shown
        return {**shown, "task_count": len(tasks)} | ({"tasks": tasks} if view == "FULL" else {})

    def shown_run_v1(self, run_id: str) -> Json:
        """A run as version 1 of the API returns it, with the workflow of the engine."""
        run = self.get(self.runs, run_id, "Run")
        shown = {"run": {"id": run_id, "name": run["display_name"]}}
        if run_id not in self.workflows:
            return shown
        manifest = json.dumps(self.workflows[run_id])
        return {**shown, "pipeline_runtime": {"workflow_manifest": manifest}}

    def active(self, recurring_run_id: str) -> list[Json]:
        """The runs of a schedule that have not ended."""
        return [
            run
            for run in self.runs.values()
            if run.get("recurring_run_id") == recurring_run_id and run["state"] not in ENDED
        ]

    def set_state(
        self,
        run_id: str,
        state: str,
        steps: dict[str, str] | None = None,
        logs: dict[str, str] | None = None,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Sets the state of a run as the cluster's agent reports it; `logs` are those of steps.

        A step that is UNPREPARED, or the ROOT, has the log of its driver.

        The metrics are those of the last step; a server with ML Metadata does not get them.
        """
        run = self.runs[run_id]
        run["state"] = state
        if steps is not None:
            workflow = engine.workflow_of(steps, state)
            self.workflows[run_id] = workflow
            if self.mlmd:
                run["run_details"] = {"task_details": engine.details_of(workflow, run_id)}
            else:
                self.tasks[run_id] = native.tasks_of(run, steps, metrics or {})
            for name in (logs or {}).keys() & steps:
                number = list(steps).index(name)
                driver = steps[name] == engine.UNPREPARED
                pod = engine.driver_pod(number) if driver else engine.executor_pod(number)
                self.logs[run_id, pod] = (logs or {})[name]
            if engine.ROOT in (logs or {}):
                self.logs[run_id, engine.driver_pod(-1)] = (logs or {})[engine.ROOT]
        if state in ENDED:
            run["finished_at"] = self._now()

    def version(self, key: str) -> Json:
        """A version with its package, as the server shows one alone."""
        spec, platform = (
            read_template(self.texts[key], old=self.old) if key in self.texts else ({}, {})
        )
        shown = {"pipeline_spec": spec, "platform_spec": platform} if platform else spec
        return {**self.get(self.versions, key, "PipelineVersion"), "pipeline_spec": shown}

    def tick(self) -> list[Json]:
        """One round of the controller of schedules at the clock's time; the runs that it made."""
        return [run for key in list(self.recurring) if (run := self._due(key))]

    def _due(self, key: str) -> Json | None:
        one, now = self.recurring[key], self.clock()
        last = self._last.get(key, _seconds(one["created_at"]))
        when = _next(one["trigger"], last, now, bool(one.get("no_catchup")))
        busy = len(self.active(key)) >= int(one["max_concurrency"])
        if key in self.lost or one["status"] != "ENABLED" or busy or when > now:
            return None
        self._last[key] = when
        kept = ("experiment_id", "runtime_config", "service_account", "pipeline_spec")
        body = {name: one[name] for name in kept if one.get(name)}
        reference = one.get("pipeline_version_reference")
        return self._create_run(
            {
                **body,
                **({"pipeline_version_reference": reference} if reference else {}),
                "recurring_run_id": key,
                "display_name": f"{one['display_name']}-{int(when)}",
            }
        )

    def _text(self, body: Json, wrong: str) -> str:
        """The package of a run: a version, the newest one of a pipeline, or one in the request."""
        reference = body.get("pipeline_version_reference") or {}
        version = reference.get("pipeline_version_id", "")
        try:
            if version:
                if version not in self.versions:
                    raise not_found(f"PipelineVersion {version} not found")
                belongs = self.versions[version]["pipeline_id"]
                if reference.get("pipeline_id", belongs) != belongs:
                    raise invalid(f"Pipeline version {version} belongs to pipeline {belongs}")
                return self.texts[version]
            if pipeline := reference.get("pipeline_id"):
                own = [v for v in self.versions.values() if v["pipeline_id"] == pipeline]
                if not own:
                    raise not_found(f"PipelineVersion for pipeline {pipeline} not found")
                return self.texts[own[-1]["pipeline_version_id"]]
            tree = body.get("pipeline_spec")
            if not tree:
                raise invalid("Failed to fetch a template with an empty pipeline spec manifest")
            documents = [tree]
            if "pipeline_spec" in tree:
                documents = [tree["pipeline_spec"], tree.get("platform_spec") or {}]
            text = yaml.safe_dump_all(documents)
            read_template(text, old=self.old)
            return text
        except Refusal as error:
            inner = "Failed to fetch a template with an invalid pipeline spec manifest"
            raise error.within(inner).as_internal(wrong) from error

    def _check_experiment(self, body: Json) -> None:
        experiment = body.get("experiment_id")
        if experiment and experiment not in self.experiments:
            raise not_found(f"Experiment {experiment} not found")
        if self.multi_user and not experiment:
            raise invalid("Experiment id can not be empty in multi-user mode")

    def _namespace(self, body: Json) -> str:
        namespace = str(body.get("namespace") or "")
        if self.multi_user and not namespace:
            raise invalid("Resource cannot have an empty namespace in multi-user mode")
        return namespace if self.multi_user else ""

    def _put(self, where: dict[str, Json], key: str, body: Json) -> Json:
        with self._lock:
            made = {**body, key: str(uuid.uuid4()), "created_at": self._now(next(self._order))}
            where[made[key]] = made
            return made

    def _now(self, order: int = 0) -> str:
        moment = datetime.datetime.fromtimestamp(self.clock(), datetime.UTC)
        return moment.replace(microsecond=order % 1_000_000).isoformat()


def _no_object(one: Json, said: str) -> Refusal:
    """Returns Kubernetes' message about an object that is gone, inside an internal error."""
    name = f"{one['display_name']}x7k2p"
    return Refusal(13, f'scheduledworkflows.kubeflow.org "{name}" not found').as_internal(said)


def _seconds(text: str) -> float:
    return float(int(datetime.datetime.fromisoformat(text).timestamp()))


def _next(trigger: Json, last: float, now: float, no_catchup: bool) -> float:
    """Returns the next due time of a schedule, as the controller of schedules computes it."""
    if cron := trigger.get("cron_schedule"):
        schedule = Cron.parse(cron["cron"])
        when = schedule.next(last)
        while no_catchup and (following := schedule.next(when)) <= now:
            when = following
        return when
    interval = int(trigger["periodic_schedule"]["interval_second"])
    when = last + interval
    return now if no_catchup and now >= when + interval else when
