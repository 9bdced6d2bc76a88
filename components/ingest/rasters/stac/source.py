"""Family of scenes from a STAC catalogue or API."""

from components.ingest.rasters.scenes.source import TiledScenes
from components.ingest.rasters.stac.config import StacSource
from components.raster.scene.scene import FoundScenes


class StacScenes(TiledScenes[StacSource]):
    """Scenes named by STAC items."""

    @property
    def uri(self) -> str:
        """Address of the items."""
        return self.source.uri

    def scenes(self) -> FoundScenes:
        """Finds the scenes of the items."""
        from components.raster.scene.stac import find_stac_scenes  # only these need its client

        return find_stac_scenes(self.source.query)
