"""Messages that hold images: what brokers deliver, and files of JSON lines as a local queue."""

import base64
import binascii
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster.errors import DataError
from pipelines.prediction.settling import Settling
from pipelines.prediction.table import escaped

#: Suffix of files of messages.
SUFFIX = ".jsonl"


class ImageMessage(NamedTuple):
    """An image in a message.

    Attributes:
        key: name of the image in answers and dead letters.
        image: the image file's bytes; None where the message holds none.
        fault: why it holds none.
        place: file and line in a local queue; empty for a broker.
    """

    key: str
    image: bytes | None
    fault: str = ""
    place: str = ""


def message_of_record(key: bytes | None, value: bytes) -> ImageMessage:
    """Returns the message in a Kafka record; without a key, it is named by its content.

    >>> message_of_record(b"plot-7", b"...").key
    'plot-7'
    >>> message_of_record(None, b"...").key
    'sha256-ab5df625bc76dbd4'
    """
    name = "" if key is None else key.decode(errors="backslashreplace").strip()
    return ImageMessage(name or f"sha256-{hashlib.sha256(value).hexdigest()[:16]}", value)


def message_of_event(data: bytes, attributes: Mapping[str, str], message_id: str) -> ImageMessage:
    """Returns the message in a Pub/Sub event, named by its attribute `key` or else by its id.

    >>> message_of_event(b"...", {"key": "plot-7"}, "1234").key
    'plot-7'
    """
    key = attributes.get("key") or message_id
    return ImageMessage(key, data) if key else message_of_record(None, data)


def message_of_line(line: bytes, place: str) -> ImageMessage:
    """Returns the message in a line of JSON: `key`, and `image` as base64.

    Args:
        line: a line of a file.
        place: name of a message that has no key.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        return ImageMessage(place, None, f"the line is not JSON: {error}")
    if not isinstance(fields, dict):
        return ImageMessage(place, None, "the line is not an object with key and image")
    key, image = fields.get("key"), fields.get("image")
    if not isinstance(key, str) or not key:
        return ImageMessage(place, None, "the message has no key")
    if not isinstance(image, str):
        return ImageMessage(key, None, "the message has no image, as base64")
    try:
        return ImageMessage(key, base64.b64decode(image, validate=True))
    except (binascii.Error, ValueError) as error:
        return ImageMessage(key, None, f"the image is not base64: {error}")


class MessageWatch:
    """Messages in the files of a local queue, once a file has not changed between two looks.

    Args:
        place: a folder of files `*.jsonl`, or one file; each is written once.
        answered: places of messages that have an answer, or are dead letters; escaped. Keys would
            not do: one may name many images in turn.
    """

    def __init__(self, place: str, answered: Iterable[str] = ()) -> None:
        # An address must be the same after a restart from another folder.
        self._place, self._answered = Path(os.path.abspath(place)), set(answered)
        self._settling = Settling()

    def look(self) -> Iterator[ImageMessage]:
        """Yields the messages of new files.

        Raises:
            DataError: the place cannot be read.
        """
        for path in self._settling.arrived(self._files()):
            with open(path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    place = f"{path}:{number}"
                    if line.strip() and escaped(place) not in self._answered:
                        message = message_of_line(line, os.path.basename(place))
                        yield message._replace(place=place)

    def _files(self) -> list[str]:
        if self._place.is_file():
            return [str(self._place)]
        try:
            return sorted(str(it) for it in self._place.iterdir() if it.suffix == SUFFIX)
        except OSError as error:
            raise DataError(f"{self._place}: no messages can be read: {error.strerror}") from error


class Spool:
    """Images of messages in files of their own while they wait, read as any other file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="skymill-stream-")
        self._count = 0
        self._places: dict[str, str] = {}

    def put(self, message: ImageMessage, image: bytes) -> Record:
        """Writes the image of a message; the record's address is its file."""
        self._count += 1
        path = Path(self._folder.name, str(self._count))
        path.write_bytes(image)
        self._places[str(path)] = message.place
        return Record(message.key, str(path))

    def cleared(self, table: pa.Table, rejects: list[Reject]) -> pa.Table:
        """Removes all images, and replaces their addresses by the places of their messages.

        Without a place it is null in answers and empty in rejects.
        """
        places, self._places = self._places, {}
        for path in places:
            os.unlink(path)
        for number, reject in enumerate(rejects):
            if reject.uri in places:
                detail = reject.detail.replace(reject.uri, "the message")
                rejects[number] = replace(reject, uri=places[reject.uri], detail=detail)
        uris = [places.get(it, it) or None for it in table["uri"].to_pylist()]
        column = pa.array([it and escaped(it) for it in uris], pa.string())
        return table.set_column(table.schema.get_field_index("uri"), "uri", column)
