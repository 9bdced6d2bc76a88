"""The garbage collector around imports: off meanwhile, on again after an error, used once."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from components.raster.unscanned import unscanned_imports

class Cycle:
    def __init__(self):
        self.itself = self

try:
    with unscanned_imports(), unscanned_imports():
        assert not gc.isenabled()
        raise ImportError
except ImportError:
    pass
assert gc.isenabled() and gc.get_freeze_count() > 1000

garbage = weakref.ref(Cycle())
with unscanned_imports():
    pass
gc.collect()
assert gc.isenabled() and garbage() is None
"""


def test_the_collector_is_on_again_and_later_garbage_is_collected(repository) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=repository, check=True)
