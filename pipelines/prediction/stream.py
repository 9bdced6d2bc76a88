"""Predictions of images as they arrive, in files for windows of time; no framework."""

import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingest.config import IngestConfig
from components.ingest.files import storage
from components.ingest.files.layout import listing_lines
from components.ingest.records.record import Record, Records
from components.ingest.records.reject import Reject, reject_lines
from components.ingest.sources import family_of
from components.raster.errors import SkymillError, TransientDataError
from components.raster.location import is_remote, local_path
from components.raster.only_process import only_process
from components.raster.reasons import Reason
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.fitting import reading_for
from pipelines.prediction.messages import ImageMessage, Spool
from pipelines.prediction.model import ExampleModel, PinnedModel, find_model, is_newest
from pipelines.prediction.settling import Settling
from pipelines.prediction.shard import Answerer
from pipelines.prediction.table import escaped, write_parquet

_LOG = logging.getLogger(__name__)
#: Prefix of dead letters of the listing; in those of windows a time follows `rejects-`.
_LISTING_REJECTS = "rejects-listing-"
_MOST_ROWS = 100_000  # of a window, which is held in memory


@dataclass(frozen=True)
class StreamJob:
    """Settings with which arriving images are answered.

    Attributes:
        config: a PredictionConfig as JSON; its source states how images are read.
        model_base: folder of the model's versions, unless the configuration names one.
        delay_s: maximum time that an image waits for others of its batch.
        window_s: length of the time windows, each with its own files.
        refresh_s: seconds between looks for a newly pushed model.
    """

    config: str
    model_base: str
    delay_s: float = 1.0
    window_s: float = 60.0
    refresh_s: float = 10.0


@dataclass(frozen=True)
class WrittenWindow:
    """A window's files: their numbers of answers and dead letters, and the model's version."""

    name: str
    predictions: int
    rejects: int
    model_version: int | None


class StreamAnswerer:
    """Answers images in small batches; each call returns the windows that it completed.

    A newly pushed model is loaded between batches. If that fails, the current one stays in use.
    """

    def __init__(self, job: StreamJob, load: Callable[[PinnedModel], ExampleModel]) -> None:
        """Loads the newest model.

        Args:
            job: the settings.
            load: loads a model; several streams of a process may share it.

        Raises:
            DataError: there is no model.
            ConfigError: the model does not fit the source.
        """
        self._job, self._load_model = job, load
        self._config = PredictionConfig.model_validate_json(job.config)
        self._base = self._config.model_base or job.model_base
        self._load(time.time())
        self._waiting: list[Record] = []
        self._spool = Spool()
        self._oldest = 0.0
        self._window = 0
        self._tables: list[pa.Table] = []
        self._rejects: list[Reject] = []

    def add(self, uri: str, now: float) -> list[WrittenWindow]:
        """Adds an image that has arrived."""
        # An address that comes from outside must not lead out of the source.
        if self._config.stream.has_broker and not _lies_in(self._config.source.uri, uri):
            detail = f"it is not below {self._config.source.uri}"
            return self._refuse(Reject(uri, uri, Reason.OUTSIDE_SOURCE, detail), now)
        return self._wait(Record(uri, uri), now)

    def add_message(self, message: ImageMessage, now: float) -> list[WrittenWindow]:
        """Adds the image of a message."""
        if message.image is None:
            reject = Reject(message.key, message.place, Reason.BAD_ROW, message.fault)
            return self._refuse(reject, now)
        return self._wait(self._spool.put(message, message.image), now)

    def _wait(self, record: Record, now: float) -> list[WrittenWindow]:
        if not self._waiting:
            self._oldest = now
        # Records of rasters need a split, as in a listing; its name does not matter here.
        self._waiting.append(record._replace(split="test"))
        return self.tick(now)

    def _refuse(self, reject: Reject, now: float) -> list[WrittenWindow]:
        """Adds a dead letter for an image that is not predicted."""
        if not self._tables_or_rejects():
            self._window = int(now // self._job.window_s)
        self._rejects.append(reject)
        return self.tick(now)

    def tick(self, now: float) -> list[WrittenWindow]:
        """Answers a batch that is full or has waited; writes a window that is over."""
        done = []
        if self._tables_or_rejects() and int(now // self._job.window_s) != self._window:
            done += self._write()
        full = len(self._waiting) >= self._config.batch
        if full or (self._waiting and now - self._oldest >= self._job.delay_s):
            done += self._answer(now)
        return done

    def close(self, now: float) -> list[WrittenWindow]:
        """Answers the waiting images, and writes the current window."""
        done = self._answer(now) if self._waiting else []
        return done + (self._write() if self._tables_or_rejects() else [])

    def _answer(self, now: float) -> list[WrittenWindow]:
        done = []
        if now - self._looked >= self._job.refresh_s and self._is_renewed(now):
            done += self._write() if self._tables_or_rejects() else []
        (line,) = listing_lines(Records(self._waiting), 1)
        self._waiting = []
        self._window = int(now // self._job.window_s)
        table = self._answerer.answers(line, self._rejects, Counter())
        table = self._spool.cleared(table, self._rejects)
        if table.num_rows:
            self._tables.append(table)
        rows = sum(table.num_rows for table in self._tables) + len(self._rejects)
        if rows >= _MOST_ROWS:
            done += self._write()
        return done

    def _is_renewed(self, now: float) -> bool:
        """Loads a newer model, if there is one; False if there is none or it cannot be loaded."""
        former, self._looked = self._ref, now
        try:
            if is_newest(former, self._config.model_version):
                return False
            found, _ = find_model(self._base, self._config.model_version)
            if found == former:
                return False
            self._load(now)
        except SkymillError as error:
            _LOG.warning("the newest model cannot be loaded: %s", error)
            return False
        return True

    def _load(self, now: float) -> None:
        ref, contract = find_model(self._base, self._config.model_version)
        reading = reading_for(self._config, contract)
        model = self._load_model(ref)
        self._answerer = Answerer(reading, (), model, ref, self._config.batch)
        self._ref: PinnedModel = ref
        self._looked = now

    def _tables_or_rejects(self) -> bool:
        return bool(self._tables or self._rejects)

    def _write(self) -> list[WrittenWindow]:
        """Writes the answers and dead letters so far; each file appears when it is complete."""
        begin = time.gmtime(self._window * self._job.window_s)
        name = f"{time.strftime('%Y%m%dT%H%M%SZ', begin)}-{uuid.uuid4().hex[:8]}"
        output = self._config.output
        rows = 0
        if self._tables:
            table = pa.concat_tables(self._tables)
            rows = table.num_rows
            _publish(output, f"predictions-{name}.parquet", partial(write_parquet, table=table))
        if self._rejects:
            data = reject_lines(self._rejects)
            _publish(output, f"rejects-{name}.jsonl", partial(storage.write, data=data))
        written = WrittenWindow(name, rows, len(self._rejects), self._ref.version)
        self._tables, self._rejects = [], []
        return [written]


def _lies_in(folder: str, uri: str) -> bool:
    """Checks that an address is below a folder and does not lead out of it."""
    root = folder.rstrip("/") + "/"
    return uri.startswith(root) and ".." not in uri.removeprefix(root).split("/")


class FolderWatch:
    """Arrivals in a source's folder: files that did not change from one look to the next.

    What is gone from the folder is forgotten, and is new if it returns.

    Args:
        reading: settings of the source.
        answered: files that are known already, from `answered_in`.
        refused: places that could not be listed before, from `refused_in`.
    """

    def __init__(
        self,
        reading: IngestConfig,
        answered: Iterable[str] = (),
        refused: Iterable[str] = (),
    ) -> None:
        self._family = family_of(reading.source)
        self._settling, self._refused = Settling(answered), set(refused)
        self._rejects: list[Reject] = []

    def look(self) -> Iterator[str]:
        """Yields the new files.

        Raises:
            DataError: the folder cannot be read.
        """
        found = self._family.find()
        refused = {escaped(reject.uri): reject for reject in found.rejects}
        self._rejects += [it for uri, it in refused.items() if uri not in self._refused]
        self._refused = set(refused)
        yield from self._settling.arrived((it.uri for it in found.records), tuple(refused))

    def write_rejects(self, output: str) -> None:
        """Writes dead letters for places that cannot be listed, such as an unreadable folder.

        If a folder can be listed later, its images are answered then.
        """
        if self._rejects:
            name = f"{_LISTING_REJECTS}{uuid.uuid4().hex[:8]}.jsonl"
            _publish(output, name, partial(storage.write, data=reject_lines(self._rejects)))
            self._rejects = []


def only_stream_into(output: str) -> AbstractContextManager[None]:
    """Locks a local output for one stream that watches a place.

    Without it, a stream that is restarted while its predecessor is still ending would answer
    images twice. Also removes the partial files of a killed stream.

    Raises:
        TransientDataError: on entry, if another stream writes there.
    """
    return nullcontext() if is_remote(output) else _alone_in(Path(local_path(output)))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    refusal = TransientDataError(
        f"another stream writes into {folder}. Stop it, or choose another --output"
    )
    with only_process(folder / ".lock", refusal):
        for begun in (*folder.glob(".predictions-*"), *folder.glob(".rejects-*")):
            begun.unlink()
        yield


def answered_in(output: str) -> set[str]:
    """Returns the addresses that have an answer, or are dead letters, in a local output; escaped.

    The address of a message in a local queue is its place there; one of a broker has none.
    """
    found: set[str] = set()
    folder = Path(local_path(output))
    if is_remote(output) or not folder.is_dir():
        return found
    for path in folder.glob("predictions-*.parquet"):
        found.update(filter(None, pq.read_table(path, columns=["uri"])["uri"].to_pylist()))
    for path in folder.glob("rejects-[0-9]*.jsonl"):
        found |= _refused(path)
    return found


def refused_in(output: str) -> set[str]:
    """Returns the places with dead letters of the listing in a local output; escaped."""
    folder = Path(local_path(output))
    if is_remote(output) or not folder.is_dir():
        return set()
    files = folder.glob(f"{_LISTING_REJECTS}*.jsonl")
    return set().union(*map(_refused, files))


def _refused(path: Path) -> set[str]:
    return {escaped(json.loads(line)["uri"]) for line in path.read_text().splitlines()} - {""}


def _publish(output: str, name: str, write: "partial[None]") -> None:
    storage.make_folder(output)
    hidden = storage.join(output, f".{name}")
    write(hidden)
    storage.publish(hidden, storage.join(output, name))
