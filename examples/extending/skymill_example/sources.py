"""Your own source: images whose names hold their class and their place."""

import re
from collections.abc import Iterator
from pathlib import Path

from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster.reasons import Reason

_NAME = re.compile(r"(?P<place>[a-z]+\d+)_(?P<label>[a-z_]+)_\d+")


def named_files(uri: str, suffix: str = ".png") -> Iterator[Record | Reject]:
    """Yields a record for each `place_class_number.png` of a folder, and a reject for others.

    Images of one place share a split.
    """
    for path in sorted(Path(uri).rglob(f"*{suffix}")):
        key = path.relative_to(uri).as_posix()
        found = _NAME.fullmatch(path.stem)
        if found is None:
            detail = "the name is not place_class_number"
            yield Reject(key, str(path), Reason.NO_LABEL, detail)
        else:
            yield Record(key, str(path), label=found["label"], group=found["place"])
