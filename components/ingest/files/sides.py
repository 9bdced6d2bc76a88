"""Side files that GDAL reads with a raster."""

import os
from collections.abc import Callable
from functools import cache

from components.raster.location import is_remote

_SIDES_OF_NAME = (".msk", ".aux.xml", ".ovr")
_SIDES_OF_STEM = (".tfw", ".wld", ".jgw", ".pgw", ".dbf", ".shx", ".prj", ".cpg")


def side_finder() -> Callable[[str], list[str]]:
    """Returns a function that finds the side files that GDAL reads with a local file: masks,
    statistics, georeferences, attributes. It lists each folder once."""

    @cache
    def names_in(folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(folder or "."))
        except OSError:
            return frozenset()

    def sides_of(path: str) -> list[str]:
        if is_remote(path):
            return []
        folder, name = os.path.split(path)
        stem = os.path.splitext(name)[0]
        sides = [name + suffix for suffix in _SIDES_OF_NAME]
        sides += [stem + suffix for suffix in _SIDES_OF_STEM]
        there = [side for side in sides if side != name and side in names_in(folder)]
        return [side for it in there if os.path.isfile(side := os.path.join(folder, it))]

    return sides_of
