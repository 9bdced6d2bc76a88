"""TensorFlow without the optional dependencies of Keras."""

import importlib
import os
import subprocess
import sys

import pytest

from components.raster.tensorflow_import import _absent

PROGRAM = """
import sys
from components.raster.tensorflow_import import import_tensorflow
import_tensorflow(keras={keras})
assert not {{"IPython", "matplotlib", "sklearn", *{absent}}} & sys.modules.keys()

import IPython, matplotlib.pyplot, sklearn
import {module} as keras
import tensorflow as tf
assert tf.keras.layers.Dense is keras.layers.Dense
assert keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])(tf.zeros([4, 2])).shape == (4, 3)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keras", "legacy", "absent"),
    [(True, "0", []), (False, "0", ["keras"]), (False, "1", ["keras", "tf_keras"])],
)
def test_what_is_left_out_can_be_imported_later(keras, legacy, absent, repository) -> None:
    module = "tf_keras" if legacy == "1" else "keras"
    program = PROGRAM.format(keras=keras, absent=absent, module=module)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": legacy}  # which TFX sets in this process
    subprocess.run([sys.executable, "-c", program], cwd=repository, env=environment, check=True)


def test_only_what_was_not_imported_before_is_absent(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("here_before", "new_here"):
        (tmp_path / f"{name}.py").touch()
    before = importlib.import_module("here_before")
    with _absent("here_before", "new_here"):
        assert importlib.import_module("here_before") is before
        with pytest.raises(ImportError, match="new_here"):
            importlib.import_module("new_here")
    assert importlib.import_module("new_here")
