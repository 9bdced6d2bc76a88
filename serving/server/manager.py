"""Life cycle of versions: watching the folder, loading, swapping, unloading."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self

from serving.server.config import ServerConfig
from serving.server.detached import detached
from serving.server.errors import Code, ServingError
from serving.server.folder import FolderState, FoundVersion, VersionFolder
from serving.server.lanes import Lanes, LaneThreads
from serving.server.metrics import ServerMetrics
from serving.server.model import LoadedModel, Threads, load_model
from serving.server.plan import VersionPlan, plan_versions
from serving.server.warmup import warm_up

logger = logging.getLogger(__name__)

_ENDED_KEPT = 16  # ended versions that the status still lists


class VersionState(Enum):
    """State of a version, with its number in get_model_status.proto."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionStatus:
    """Status of one version."""

    version: int
    state: VersionState
    code: Code = Code.OK
    message: str = ""


@dataclass(eq=False)
class LoadedVersion:
    """A loaded version with its queues; a request's `with` block keeps it in memory."""

    model: LoadedModel
    lanes: Lanes
    users: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> Self:
        self.users += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.users -= 1
        if not self.users:
            self.idle.set()


@dataclass(frozen=True)
class _Failure:
    fingerprint: object
    retry_at: float


@dataclass(frozen=True)
class _Load:
    """A load in progress."""

    found: FoundVersion
    outcome: asyncio.Future[tuple[LoadedModel, int]]
    started: float


class ModelManager:
    """Versions of one model. Everything but the loading itself runs in the event loop."""

    def __init__(self, config: ServerConfig, metrics: ServerMetrics) -> None:
        self._config = config
        self._metrics = metrics
        self._threads = Threads(config.intra_op_threads, config.inter_op_threads)
        self._folder = VersionFolder(config.model_base)
        self._workers = LaneThreads(config, metrics.batch_ran)
        self._served: dict[int, LoadedVersion] = {}
        self._status: dict[int, VersionStatus] = {}
        self._failures: dict[int, _Failure] = {}
        self._loads: dict[int, _Load] = {}
        self._first_update_done = asyncio.Event()
        self._letting_go: set[asyncio.Task[None]] = set()
        self.changed = asyncio.Event()
        self.settled = asyncio.Event()
        self.answers = asyncio.Event()

    @property
    def available(self) -> bool:
        """True if any version is available."""
        return bool(self._served)

    @property
    def statuses(self) -> tuple[VersionStatus, ...]:
        """All known versions, newest first."""
        return tuple(self._status[number] for number in sorted(self._status, reverse=True))

    @property
    def queued_rows(self) -> int:
        """Number of waiting rows, over all versions."""
        return sum(served.lanes.queued_rows for served in self._served.values())

    def use(self, name: str, version: int | None, label: str) -> LoadedVersion:
        """Returns the version that a request names; enter it before the next `await`.

        Raises:
            ServingError: with TensorFlow Serving's message, if there is no such version.
        """
        if not name:
            raise ServingError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        if label:
            version = self._labelled(name, label)
        if name == self._config.model_name and self._served:
            served = self._served.get(max(self._served) if version is None else version)
            if served is not None:
                return served
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")

    def _labelled(self, name: str, label: str) -> int | None:
        target = self._config.labels.get(label) if name == self._config.model_name else None
        if target is None:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}"
            )
        return None if target == "latest" else target

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watches the version folder during the block.

        At its start, the status already lists the versions in the folder.
        """
        watcher = asyncio.create_task(self._watch())
        try:
            await self._first_update_done.wait()
            yield
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            self._workers.shutdown()

    async def _watch(self) -> None:
        while True:
            await self.update()
            self._first_update_done.set()
            self.settled.set()
            await asyncio.sleep(self._config.poll_interval_s)

    async def update(self) -> None:
        """Reads the version folder, then loads and unloads versions to match it."""
        while (state := await self._read_folder()) is not None:
            self._end_loads()
            self._forgive_failures(state)
            plan = self._plan(state)
            self._schedule(plan.load)
            for version in plan.unload:
                self._unload(version)
            if not plan.load:
                return
            await self._load(plan.load[0], state.complete[plan.load[0]])
            # If that version failed, its successor is scheduled before anyone can read the status.
            self._schedule(self._plan(state).load)

    def _plan(self, state: FolderState) -> VersionPlan:
        return plan_versions(
            on_disk=state.complete.keys() | (state.unknown & self._served.keys()),
            loaded=self._served,
            broken=self._failures.keys() | self._loads.keys(),
            latest_versions=self._config.latest_versions,
            pinned=[v for v in self._config.labels.values() if v != "latest"],
        )

    def _schedule(self, versions: Collection[int]) -> None:
        """Gives versions to load the state START, like TensorFlow Serving."""
        for version, status in list(self._status.items()):
            if status.state is VersionState.START and version not in versions:
                del self._status[version]
        for version in versions:
            self._set_status(VersionStatus(version, VersionState.START))

    async def _read_folder(self) -> FolderState | None:
        return await self._folder.read({n: it.model.path for n, it in self._served.items()})

    def _forgive_failures(self, state: FolderState) -> None:
        """Retries a broken version when its files change, and otherwise at intervals."""
        now = time.monotonic()
        for version, failure in list(self._failures.items()):
            found = state.complete.get(version)
            if found is None or now > failure.retry_at or found.fingerprint != failure.fingerprint:
                del self._failures[version]

    async def _load(self, version: int, found: FoundVersion) -> None:
        """Loads a version; waits only as long as one load may delay the next."""
        self._set_status(VersionStatus(version, VersionState.LOADING))
        outcome = detached(_load_warm, version, found.path, self._threads)
        self._loads[version] = _Load(found, outcome, time.monotonic())
        await asyncio.wait({outcome}, timeout=self._config.slow_load_s)
        if outcome.done():
            self._end_loads()
            return
        logger.warning(
            "version %d is still loading after %g s; other versions do not wait for it",
            version,
            self._config.slow_load_s,
        )

    def _end_loads(self) -> None:
        for version, load in list(self._loads.items()):
            if load.outcome.done():
                del self._loads[version]
                self._end_load(version, load)

    def _end_load(self, version: int, load: _Load) -> None:
        try:
            model, warmed = load.outcome.result()
        except ServingError as error:
            retry_at = time.monotonic() + self._config.retry_failed_s
            self._failures[version] = _Failure(load.found.fingerprint, retry_at)
            self._metrics.load_failed()
            self._set_status(VersionStatus(version, VersionState.END, error.code, error.message))
            logger.error("version %d cannot be served: %s", version, error.message)
            return
        self._served[version] = LoadedVersion(model, self._workers.lanes(model))
        self._set_status(VersionStatus(version, VersionState.AVAILABLE))
        self.answers.set()
        logger.info(
            "version %d is served (loaded in %.1f s, %d warm-up requests)",
            version,
            time.monotonic() - load.started,
            warmed,
        )

    def _unload(self, version: int) -> None:
        served = self._served.pop(version)
        self._set_status(VersionStatus(version, VersionState.UNLOADING))
        task = asyncio.create_task(self._release(version, served))
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)

    async def _release(self, version: int, served: LoadedVersion) -> None:
        while served.users:
            served.idle.clear()
            await served.idle.wait()
        await detached(served.model.close)
        self._set_status(VersionStatus(version, VersionState.END))
        logger.info("version %d is no longer served", version)

    def _set_status(self, status: VersionStatus) -> None:
        self._status[status.version] = status
        ended = [s.version for s in self.statuses if s.state is VersionState.END]
        for version in ended[_ENDED_KEPT:]:
            del self._status[version]
        self._metrics.versions(self._served)
        self.changed.set()
        self._first_update_done.set()


def _load_warm(version: int, path: Path, threads: Threads) -> tuple[LoadedModel, int]:
    model = load_model(version, path, threads)
    try:
        return model, warm_up(model)
    except BaseException:
        model.close()
        raise
