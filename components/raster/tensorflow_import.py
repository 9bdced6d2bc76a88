"""Import of TensorFlow without its optional libraries."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras imports these if they are installed: for wrappers of estimators, pictures and notebooks.
_OF_KERAS = ("IPython", "matplotlib", "sklearn")
#: Keras 3, and Keras 2 where TF_USE_LEGACY_KERAS asks for it, as TFX does in its own processes.
_KERAS = ("keras", "tf_keras")


def import_tensorflow(*, keras: bool = True) -> None:
    """Imports TensorFlow in two thirds of the usual time, or in half of it without Keras.

    The libraries left out can be imported afterwards. The process only loses Keras's use of them:
    `keras.wrappers` lacks scikit-learn, and `keras.visualization` Matplotlib.

    Args:
        keras: import Keras too, which a process that only serves graphs never uses.
    """
    with _absent(*(_OF_KERAS if keras else _KERAS)):
        import tensorflow as tf  # noqa: F401


@contextmanager
def _absent(*modules: str) -> Iterator[None]:
    """Makes imports of the modules fail, except those that the process has already imported."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module in hidden:
            sys.modules.pop(module, None)
