"""Packages of the extra `explain`, imported when a method needs them."""

import importlib
from typing import Any

from components.raster.errors import ConfigError


def package(name: str, method: str) -> Any:
    """Imports a package of the extra.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The method {method} needs {name.partition('.')[0]}, which is not installed: "
            "pip install 'skymill[explain]'"
        ) from error
