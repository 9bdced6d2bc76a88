"""A temporary folder of one's own, so that nothing stays behind in the system's."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "TMPDIR"


@contextmanager
def own_temporary_folder() -> Iterator[str]:
    """What libraries and child processes leave in the temporary folder is removed at the end.

    TFX packs itself up for every Beam node that has options, and TensorFlow writes the functions
    that it compiles; neither removes them when the process is stopped. Also usable as a decorator.
    """
    variable, known = os.environ.get(_VARIABLE), tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="skymill-", ignore_cleanup_errors=True) as folder:
        os.environ[_VARIABLE] = tempfile.tempdir = folder
        try:
            yield folder
        finally:
            tempfile.tempdir = known
            if variable is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = variable
