"""The class names of a dataset, in the order of their indices: `classes.json` beside the splits."""

import json

from components.raster.errors import DataError

CLASSES_FILE = "classes.json"


def classes_to_json(classes: tuple[str, ...]) -> str:
    """Returns the content of `classes.json`."""
    return json.dumps(list(classes), ensure_ascii=False, indent=1) + "\n"


def classes_from_json(text: str) -> tuple[str, ...]:
    """Inverts `classes_to_json`; raises DataError when `text` lists no names."""
    try:
        classes = json.loads(text)
    except ValueError as error:
        raise DataError(f"{CLASSES_FILE} is not JSON ({error}): run ingest again") from error
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{CLASSES_FILE} holds no list of names: run ingest again")
    return tuple(classes)
