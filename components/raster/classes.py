"""Class names of a dataset, in the order of their indices: `classes.json` beside the splits."""

import json

from components.raster.errors import DataError

CLASSES_FILE = "classes.json"


def classes_to_json(classes: tuple[str, ...]) -> str:
    """Returns the content of `classes.json`."""
    return json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n"


def classes_from_json(text: str, source: str, *, may_be_empty: bool = False) -> tuple[str, ...]:
    """Inverts `classes_to_json`.

    Args:
        text: content of the file.
        source: place of the file, for errors.
        may_be_empty: whether a data set without classes is valid.

    Raises:
        DataError: the text lists no names.
    """
    try:
        classes = json.loads(text)
    except ValueError as error:
        raise DataError(f"{source} cannot be read ({error}); ingest the data again.") from error
    listed = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not listed or not (classes or may_be_empty):
        raise DataError(f"{source} is not a list of class names; ingest the data again.")
    return tuple(classes)
