"""A private temporary folder, so that no files are left in the system's."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "TMPDIR"


@contextmanager
def own_temporary_folder() -> Iterator[str]:
    """Redirects temporary files to a private folder and removes it at the end.

    TFX packages itself for every Beam node that has options, and TensorFlow writes the functions
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
