"""Corrections of a source's labels: a table with a key and the right label in each row."""

from dataclasses import replace

from components.ingest.listing.manifest import BadRow, classes_of, name_of, number_of, read_rows
from components.ingest.records.record import Contents, Record, Records
from components.raster.errors import DataError
from components.raster.text import readable

_KEY, _LABEL = "key", "label"
_NAMED = 3


def corrected(found: Contents, uri: str | None) -> Contents:
    """Returns the contents with the labels of a table of corrections (.csv, .jsonl, .parquet).

    `label` has the form of the image's own: a class, several joined by `|` (or none), or a number.
    Other columns are ignored.

    Args:
        found: contents of the source.
        uri: of the table; None for none.

    Raises:
        DataError: the table cannot be read, names an image that the source does not have, has a key
            twice, or a label without the image's form.
    """
    if uri is None:
        return found
    labels = _read(uri)
    records = Records(
        record if key not in labels else _with_label(record, labels.pop(key), uri)
        for key, record in ((readable(it.key), it) for it in found.records)
    )
    if labels:
        named = ", ".join(sorted(labels)[:_NAMED])
        raise DataError(
            f"corrections {uri}: {len(labels)} keys are of no image of the source, such as "
            f"{named}. "
            "A key is the image's, as in rejects, predictions and label issues; remove the rows of "
            "images that are no longer there"
        )
    return replace(found, records=records)


def _read(uri: str) -> dict[str, object]:
    labels: dict[str, object] = {}
    for number, row in enumerate(read_rows(uri), start=1):
        if isinstance(row, BadRow):
            raise DataError(f"corrections {uri}: {row.why}")
        missing = [name for name in (_KEY, _LABEL) if name not in row]
        if missing or not row[_KEY]:
            raise DataError(
                f"corrections {uri}: row {number} has no {missing[0] if missing else _KEY}; the "
                f"table needs the columns {_KEY} and {_LABEL}"
            )
        key = str(row[_KEY])
        if key in labels:
            raise DataError(f"corrections {uri}: row {number} corrects {key} a second time")
        labels[key] = row[_LABEL]
    return labels


def _with_label(record: Record, given: object, uri: str) -> Record:
    if record.labels is not None:
        return record._replace(labels=classes_of(given))
    if record.number is not None:
        number = number_of(given)
        if number is None:
            raise _refused(record, given, uri, "a number")
        return record._replace(number=number)
    if record.label is None:
        raise _refused(record, given, uri, "what a label can correct: its truth is a mask or boxes")
    label = name_of(given)
    if label is None:
        raise _refused(record, given, uri, "a class")
    return record._replace(label=label)


def _refused(record: Record, given: object, uri: str, wanted: str) -> DataError:
    return DataError(f"corrections {uri}: {record.key} has the label {given!r}, not {wanted}")
