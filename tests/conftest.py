"""Fixtures that every test may use."""

import gc
import os
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest

from components.raster.unscanned import unscanned_imports

# Read by TensorFlow when it is first imported, so they are set before any test module is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# BLAS threads wait by spinning, which costs processes that share cores several times the work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Background jobs of a shell ignore SIGINT, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Collections of the middle generation; Python's default is 10.
_FULL_COLLECTION_AFTER = 60

pytest_plugins = ["tests.begin_within", "tests.longest_first"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Imports the tests, and with them TensorFlow, TFX and Beam."""
    with unscanned_imports():
        found = yield
    # Full collections take a few percent of the time of tests that build networks, and free little.
    gc.set_threshold(*gc.get_threshold()[:2], _FULL_COLLECTION_AFTER)
    return found


REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Puts the temporary files of libraries, which many never remove, with the tests' own."""
    folder = tmp_path_factory.mktemp("temporary")
    get_temp_dir()  # made outside: multiprocessing removes it itself, when the process ends
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(folder))
        patched.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Returns a function that finds a data set outside the repository, or skips the test.

    `shared_data("eurosat_rgb")` is the path of that folder below `../shared/data`, or below the
    folder that `SKYMILL_SHARED_DATA` names.
    """
    root = Path(os.environ.get("SKYMILL_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = root / name
        if not path.exists():
            pytest.skip(f"needs {name} in ../shared/data (or in $SKYMILL_SHARED_DATA)")
        return path

    return find
