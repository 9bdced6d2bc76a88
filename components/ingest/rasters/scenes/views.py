"""Views of scenes, the same in the listing and in every worker."""

from collections.abc import Sequence
from functools import partial

from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.views import open_view, open_views
from components.raster.image import ImageSpec
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import SceneSource
from components.raster.tiles.view import View


def open_scene_view(scene: SceneSource, source: TiledSource, image: ImageSpec) -> View:
    """Opens the headers of a scene, for which the listing has found scale and offset.

    Raises:
        SceneRejected: the scene cannot be used.
    """
    return open_view(scene, source, image, source.warp)


def open_scene_views(
    scenes: Sequence[SceneSource], source: TiledSource, image: ImageSpec
) -> Sequence[View | SceneRejected]:
    """Returns each scene's view or rejection, in order."""
    return open_views(scenes, partial(open_scene_view, source=source, image=image), image)
