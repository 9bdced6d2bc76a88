"""Imports of large frameworks without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unscanned_imports() -> Iterator[None]:
    """Pauses the garbage collector while frameworks are imported, and exempts what they leave.

    TensorFlow, TFX and Beam make more than a million objects that live as long as the process. To
    scan them again and again for garbage takes a tenth of their import, and slows every later
    collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
