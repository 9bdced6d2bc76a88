"""The import of TensorFlow, without libraries that it only takes if they are there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras looks for these during its import: for wrappers of estimators, pictures and notebooks.
_OF_KERAS = ("IPython", "matplotlib", "sklearn")
#: Keras 3, and Keras 2 where TF_USE_LEGACY_KERAS asks for it, as TFX does in its own processes.
_KERAS = ("keras", "tf_keras")


def import_tensorflow(*, keras: bool = True) -> None:
    """Imports TensorFlow in two thirds of the usual time, or in half of it without Keras.

    What is left out can be imported afterwards. Only Keras's own use of it is lost to the process:
    `keras.wrappers` without scikit-learn, `keras.visualization` without Matplotlib.

    Args:
        keras: TensorFlow imports Keras as well, which a process that only serves graphs never uses.
    """
    with _absent(*(_OF_KERAS if keras else _KERAS)):
        import tensorflow as tf  # noqa: F401


@contextmanager
def _absent(*modules: str) -> Iterator[None]:
    """Lets imports of the modules fail, but of those that the process has imported already."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module in hidden:
            sys.modules.pop(module, None)
