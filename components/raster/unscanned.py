"""Import of large frameworks without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

_used = Event()


@contextmanager
def unscanned_imports() -> Iterator[None]:
    """Pauses the garbage collector during imports of frameworks, then exempts their objects.

    TensorFlow, TFX and Beam make about a million objects that live as long as the process. The
    collector would scan them several times during their import, and in each full collection later.
    Only the first use in a process does so: exempt objects are never freed, and a later use would
    also exempt the garbage of a training.
    """
    if _used.is_set() or not gc.isenabled():
        yield
        return
    _used.set()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
