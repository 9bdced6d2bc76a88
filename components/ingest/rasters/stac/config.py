"""Configuration of scenes from a STAC catalogue."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.records.source import InputPath
from components.raster.scene.stac_query import StacQuery


class StacSource(TiledSource):
    """Scenes from a STAC item collection, catalogue or API."""

    in_a_folder: ClassVar[bool] = False

    kind: Literal["stac"] = "stac"
    query: StacQuery

    @property
    def uri(self) -> str:
        """Address of the items."""
        return self.query.source

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the collection of items, then the files of the area and of labels."""
        yield InputPath("query.source", self.uri, "file or folder")
        yield from super().input_paths()
