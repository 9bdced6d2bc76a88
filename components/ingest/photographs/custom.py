"""Photographs listed by user code."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from components.ingest.listing.corrections import corrected
from components.ingest.photographs.config import CustomSource
from components.ingest.photographs.masks import PhotographMaskReader
from components.ingest.photographs.source import Photographs
from components.ingest.photographs.truth import TruthReader, of_record
from components.ingest.records.record import Contents, Record
from components.ingest.records.reject import Reject
from components.raster.errors import ConfigError, DataError, SkymillError
from components.raster.example import SPLITS
from components.raster.location import is_remote
from components.raster.messages import first_line
from components.raster.reasons import Reason

_KEY = "ingest.source.call"
_FIELD = {"label": "label", "labels": "labels", "number": "number", "mask": "mask_uri"}


class CustomPhotographs(Photographs[CustomSource]):
    """Photographs whose records, or rejects, are yielded by a function of the source's location."""

    def find(self) -> Contents:
        """Lists the records, with rejects for those that cannot become examples.

        Raises:
            ConfigError: the code cannot be called, or yields anything but records.
            DataError: the code fails.
        """
        contents = Contents(classes=self.source.legend_classes)
        seen: set[str] = set()
        for item in _called(self.source):
            if isinstance(item, Reject):
                contents.rejects.append(item)
                continue
            fault = _fault(item, self.source, seen)
            if fault is None:
                contents.records.append(_complete(item))
            else:
                contents.rejects.append(Reject(str(item.key), str(item.uri), *fault))
            seen.add(item.key)
        return corrected(contents, self.source.corrections)

    def truth_of(self, classes: Sequence[str]) -> TruthReader:
        """Returns the reader of the masks, if records name masks."""
        return (
            of_record if self.source.legend is None else PhotographMaskReader(self.source, classes)
        )


def _called(source: CustomSource) -> Iterator[Record | Reject]:
    function: Callable[..., Any] = source.bound(_KEY)
    try:
        for item in function(source.uri):
            if not isinstance(item, Record | Reject):
                raise ConfigError(
                    f"{_KEY}: {source.call} yields a {type(item).__name__}; it must yield a Record "
                    "for each image (components.ingest.records.record)."
                )
            yield item
    except SkymillError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise DataError(
            f"{source.uri} cannot be listed: {source.call} failed with {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error


def _fault(record: Record, source: CustomSource, seen: set[str]) -> tuple[Reason, str] | None:
    """Returns why a record cannot become an example, if it cannot."""
    if record.key in seen:
        return Reason.DUPLICATE_KEY, "another record has this key"
    if record.split is not None and record.split not in SPLITS:
        return Reason.UNKNOWN_SPLIT, f"split is {record.split!r}, not {', '.join(SPLITS)} or None"
    if getattr(record, _FIELD[source.truth]) is None:
        return Reason.NO_LABEL, f"the record has no {source.truth}"
    return None


def _complete(record: Record) -> Record:
    """Returns the record with an absolute path, and its classes in order."""
    uri = record.uri if is_remote(record.uri) else os.path.abspath(record.uri)
    labels = None if record.labels is None else tuple(sorted(set(record.labels)))
    return record._replace(uri=uri, labels=labels)
