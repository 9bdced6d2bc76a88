"""Survey of the splits of scenes."""

import numpy as np

from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.scenes.labels.reader import LabelsRejected
from components.ingest.rasters.scenes.plan import PlannedScenes
from components.ingest.rasters.split import rejected_areas, splits_of
from components.ingest.rasters.survey import require_places, survey_places
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey
from components.raster.spatial.rules import LeftOut


def survey_scenes(
    source: TiledSource, source_uri: str, settings: Settings, planned: PlannedScenes
) -> Survey:
    """Surveys the tiles of scenes from headers and labels; no pixel of a scene is read.

    Raises:
        DataError: no scene can be used, or the split would leak.
        ConfigError: the split's rule cannot decide.
    """
    places = planned.places
    require_places(places, source_uri, planned.rejects)
    names, unlabelled = _names(planned)
    rejects = [*planned.rejects, *unlabelled, *rejected_areas(settings.split_by)]
    splits = splits_of(places, [None] * len(names), settings, source.tiling)
    splits = [
        LeftOut.NO_TRUTH if of_tile is None and not isinstance(split, LeftOut) else split
        for of_tile, split in zip(names, splits, strict=True)
    ]
    return survey_places(places, splits, [it or () for it in names], rejects)


def _names(planned: PlannedScenes) -> tuple[list[tuple[str, ...] | None], list[Reject]]:
    """Returns each tile's classes, assuming that all of its pixels are valid; None without truth.

    Also the rejects of tiles whose labels cannot be used.
    """
    names: list[tuple[str, ...] | None] = []
    rejects = []
    for scene, labels in zip(planned.scenes, planned.labels, strict=True):
        for key in scene.places.keys:
            valid = np.ones((key.window.height, key.window.width), np.bool_)
            try:
                truth = labels.truth_at(key.window, valid)
            except LabelsRejected as error:
                rejects.append(Reject(str(key), scene.uri, error.reason, error.detail))
                truth = None
            names.append(None if truth is None else truth.names(planned.classes))
    return names, rejects
