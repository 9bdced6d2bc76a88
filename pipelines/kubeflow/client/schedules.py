"""Recurring runs: one at a time, without catch-up, each on the data of its own day."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipelines.kubeflow.client.api import predicate
from pipelines.kubeflow.client.errors import KubeflowError, Lost, NotFound
from pipelines.kubeflow.client.schedule import Schedule, Scheduled, refuse_frozen
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import Submission


class Schedules:
    """The recurring runs of a server."""

    def __init__(self, server: KubeflowServer) -> None:
        self._server = server
        self._service = server.api.client.recurring_runs

    def put(
        self, package: Submission, schedule: Schedule, *, experiment: str | None = None
    ) -> Scheduled:
        """Creates or replaces a schedule; repeating the same call changes nothing.

        Kubeflow cannot change a recurring run, so a new one replaces it. The old one is disabled
        before the new one is created, so that two never start runs together. One whose object in
        the cluster is gone is created again, even if the server still lists it.

        Raises:
            ConfigError: a parameter is invalid, or the package is bound to the data of one day.
            KubeflowError: the server refuses, or a run of the old one has not ended: Kubeflow
                would end it together with its schedule.
        """
        wanted = self._body(package, schedule, experiment)
        named = self._named(schedule.name)
        old = [one for one in named if self._is_alive(one)]
        lost = [one for one in named if one not in old]
        if len(old) == 1 and _is_same(old[0], wanted):
            done = self._kept(old[0])
        else:
            done = self._replaced(schedule.name, wanted, old)
            done = replace(done, change="replaced") if lost else done
        left = [one for one in lost if not self._is_removed(one)]
        return replace(done, note=_left_over(left)) if left else done

    def _replaced(self, name: str, wanted: dict[str, Any], old: list[Any]) -> Scheduled:
        """Creates a schedule and removes the old ones; if that fails, they stay active."""
        try:
            for one in old:
                self._set_mode(one, enabled=False)
            self._refuse_while_running(old, "replace")
            made = self._server.api.call(
                f"schedule {name}",
                self._service.recurring_run_service_create_recurring_run,
                recurring_run=wanted,
            )
        except BaseException:  # also an interrupt, which must not leave a schedule disabled
            for one in old:
                with suppress(KubeflowError):
                    self._set_mode(one, enabled=_is_enabled(one))
            raise
        for one in old:
            self._remove(one)
        return _scheduled(made, "replaced" if old else "created")

    def listed(self) -> list[Scheduled]:
        """Returns all recurring runs, sorted by name."""
        return sorted((_scheduled(one) for one in self._all()), key=lambda one: one.name)

    def set_enabled(self, name: str, enabled: bool) -> Scheduled:
        """Enables or disables a schedule; a run in progress continues."""
        one = self._one(name)
        self._set_mode(one, enabled=enabled)
        return _scheduled(self._get(one), "enabled" if enabled else "disabled")

    def delete(self, name: str) -> Scheduled:
        """Deletes a schedule.

        Raises:
            KubeflowError: one of its runs has not ended: Kubeflow would end it as well.
        """
        one = self._one(name)
        self._refuse_while_running([one], "delete")
        self._remove(one)
        return _scheduled(one, "deleted")

    def _body(
        self, package: Submission, schedule: Schedule, experiment: str | None
    ) -> dict[str, Any]:
        refuse_frozen(_defaults(package), package.source)
        values = package.parameters(schedule.parameters)
        body = {
            "display_name": schedule.name,
            "experiment_id": self._server.catalogue.experiment(experiment or package.name),
            "pipeline_version_reference": self._server.catalogue.version(package),
            "runtime_config": {"parameters": values},
            "trigger": schedule.trigger(),
            "mode": "ENABLE",
            "max_concurrency": "1",
            "no_catchup": True,
        }
        if schedule.service_account:
            body["service_account"] = schedule.service_account
        return body

    def _kept(self, one: Any) -> Scheduled:
        if _is_enabled(one):
            return _scheduled(one, "unchanged")
        self._set_mode(one, enabled=True)
        return _scheduled(self._get(one), "enabled")

    def _refuse_while_running(self, schedules: list[Any], verb: str) -> None:
        for one in schedules:
            for run in self._server.active_runs(one.recurring_run_id):
                raise KubeflowError(
                    f"cannot {verb} the schedule {one.display_name}: its run {run.run_id} "
                    f"({run.state.lower()}) has not ended, and Kubeflow would end it together with "
                    "its schedule. Wait for it, or terminate it in Kubeflow's pages",
                    transient=True,
                )

    def _set_mode(self, one: Any, *, enabled: bool) -> None:
        api = self._service
        change = (
            api.recurring_run_service_enable_recurring_run
            if enabled
            else api.recurring_run_service_disable_recurring_run
        )
        verb = "switch on" if enabled else "switch off"
        what = f"{verb} the schedule {one.display_name}"
        self._server.api.call(what, change, recurring_run_id=one.recurring_run_id)

    def _is_alive(self, one: Any) -> bool:
        """Checks whether its object is in the cluster, which a server reports only on a change.

        Sets its mode to the current one. A disabled one whose object is gone may pass as alive; it
        starts no runs either way.
        """
        try:
            self._set_mode(one, enabled=_is_enabled(one))
        except Lost:
            return False
        return True

    def _is_removed(self, one: Any) -> bool:
        try:
            self._remove(one)
        except Lost:
            return False
        return True

    def _remove(self, one: Any) -> None:
        self._server.api.call(
            f"delete the schedule {one.display_name}",
            self._service.recurring_run_service_delete_recurring_run,
            recurring_run_id=one.recurring_run_id,
        )

    def _get(self, one: Any) -> Any:
        return self._server.api.call(
            "look at a schedule",
            self._service.recurring_run_service_get_recurring_run,
            recurring_run_id=one.recurring_run_id,
        )

    def _one(self, name: str) -> Any:
        found = self._named(name)
        if len(found) > 1:  # some may be left from a cluster that was set up again
            found = [one for one in found if self._is_alive(one)] or found[:1]
        if len(found) == 1:
            return found[0]
        if found:
            raise KubeflowError(
                f"there are {len(found)} schedules named {name}: delete all but one in Kubeflow's "
                "pages"
            )
        known = ", ".join(one.name for one in self.listed()) or "none"
        raise NotFound(f"there is no schedule named {name}. Known: {known}")

    def _named(self, name: str) -> list[Any]:
        return list(self._all(filter=predicate("display_name", name)))

    def _all(self, **given: str) -> Any:
        return self._server.api.listed(
            "list schedules",
            self._service.recurring_run_service_list_recurring_runs,
            "recurring_runs",
            **self._server.api.scope(),
            **given,
        )


def _defaults(package: Submission) -> dict[str, Any]:
    known = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return {name: one.get("defaultValue") for name, one in known.items()}


def _left_over(rows: list[Any]) -> str:
    ids = ", ".join(one.recurring_run_id for one in rows)
    return (
        f"the server still lists {ids} of that name, without an object in the cluster: it starts "
        "no runs, and this release does not delete it"
    )


def _is_enabled(one: Any) -> bool:
    return bool(one.status == "ENABLED" or (one.status is None and one.mode == "ENABLE"))


def _is_same(one: Any, wanted: Mapping[str, Any]) -> bool:
    """Checks whether a recurring run is as requested, apart from being enabled."""
    has = _scheduled(one)
    account = wanted.get("service_account")
    return (
        has.when == _when(wanted["trigger"])
        and has.version_id == wanted["pipeline_version_reference"]["pipeline_version_id"]
        and has.parameters == wanted["runtime_config"]["parameters"]
        and (account is None or has.service_account == account)
        and has.max_concurrency == int(wanted["max_concurrency"])
        and has.no_catchup == wanted["no_catchup"]
        and one.experiment_id == wanted["experiment_id"]
    )


def _when(trigger: Mapping[str, Any]) -> str:
    if cron := trigger.get("cron_schedule"):
        return str(cron["cron"])
    periodic = trigger.get("periodic_schedule") or {}
    return f"every {periodic.get('interval_second')} s"


def _scheduled(one: Any, change: str = "") -> Scheduled:
    version = one.pipeline_version_reference
    config = one.runtime_config
    return Scheduled(
        recurring_run_id=str(one.recurring_run_id),
        name=one.display_name or "",
        when=_when(one.trigger.to_dict()) if one.trigger else "",
        enabled=_is_enabled(one),
        version_id=(version.pipeline_version_id or "") if version else "",
        parameters=dict(config.parameters or {}) if config else {},
        service_account=one.service_account or "",
        max_concurrency=int(one.max_concurrency or 0),
        no_catchup=bool(one.no_catchup),
        change=change,
    )
