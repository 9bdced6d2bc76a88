"""Maps of all scenes of a source: a scene is the unit of work, and continues within itself."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.ingest.config import IngestConfig
from components.ingest.files import storage
from components.ingest.files.layout import ShardRange
from components.ingest.records.family import WholeScenes
from components.ingest.records.scene_part import scene_of_fields
from components.ingest.records.summary import IngestSummary
from components.ingest.sources import family_of
from components.mapping.config import MapConfig, SceneReading
from components.mapping.in_process import InProcessModel
from components.mapping.maps import UNFINISHED, SceneMap, map_scenes
from components.mapping.rejects import MapReason, MapReject
from components.raster.errors import ConfigError, TransientDataError
from components.raster.location import is_remote, local_path
from components.raster.scene.folders import check_folders, check_ids
from components.raster.scene.scene import SceneSource
from pipelines.prediction.model import PinnedModel, require_same
from pipelines.prediction.output import PredictionPaths

#: Name under which a summary counts maps.
MAPPED = "mapped"


def scenes_of(reading: IngestConfig, found: Any) -> WholeScenes:
    """Returns the scenes that a source's family has found; each photograph or chip is one.

    Raises:
        DataError: two scenes have one name, or the map of one would lie in that of another.
    """
    listed = family_of(reading.source).whole_scenes(found)
    check_ids(listed.scenes)
    check_folders(listed.scenes)
    return listed


def scene_lines(scenes: Sequence[SceneSource]) -> list[bytes]:
    """Serializes each scene to a line, the listing's block."""
    ordered = sorted(scenes, key=lambda scene: scene.scene_id)
    return [json.dumps(asdict(scene), separators=(",", ":")).encode() + b"\n" for scene in ordered]


def settings_of(config: MapConfig, reading: IngestConfig) -> MapConfig:
    """Returns the settings of the maps, with the source's own settings of how scenes are read.

    Raises:
        ConfigError: the source has a setting that maps do not support.
    """
    source = reading.source
    if source.for_tiles_alone:
        raise ConfigError(
            f"prediction.source: {' and '.join(source.for_tiles_alone)} cut and warp tiles; a map "
            "covers its whole scene. Name another grid in prediction.map.reading (resample, crs)"
        )
    names = SceneReading.model_fields.keys() & type(source).model_fields.keys()
    own = {name: getattr(source, name) for name in names if name in source.model_fields_set}
    return config.model_copy(update={"reading": config.reading.model_copy(update=own)})


def require_local(output: str, model: PinnedModel) -> None:
    """Raises ConfigError where maps cannot be written or made."""
    for what, place in (("output", output), ("model_base", model.base)):
        if is_remote(place):
            raise ConfigError(
                f"prediction.{what}: {place} is remote; maps are made in folders. Name one that "
                "all workers see"
            )


@dataclass(frozen=True)
class MapJob:
    """Everything that a worker needs, in a form that every runner can send.

    Attributes:
        config: a MapConfig as JSON.
        model: the model.
        name: its name for users.
        paths: paths of the output.
    """

    config: str
    model: PinnedModel
    name: str
    paths: PredictionPaths

    def load(self, *, one_thread: bool = False) -> InProcessModel:
        """Loads the model; reading and inference of a map take turns, each with all threads.

        Raises:
            DataError: it cannot be loaded, or was replaced.
        """
        base = Path(local_path(self.model.base))
        model = InProcessModel(base, self.name, self.model.version)
        require_same(self.model, model.identity)
        return model

    def writer(self, model: InProcessModel) -> "MapWriter":
        """Returns the writer of maps."""
        return MapWriter(self, model)


class MapWriter:
    """Makes maps; a finished one is not made again."""

    def __init__(self, job: MapJob, model: InProcessModel) -> None:
        self._job, self._model = job, model
        self._config = MapConfig.model_validate_json(job.config)

    def write(self, block: ShardRange) -> IngestSummary:
        """Makes the map of the block's scene, in a folder of the scene's name.

        Raises:
            TransientDataError: another attempt is making the map, whose files are left alone, or
                the model fails, as it may once: another attempt makes the map.
        """
        paths = self._job.paths
        done = paths.summary_of(block.shard)
        if done is not None:
            return done
        line = storage.read_range(paths.listing, block.offset, block.length)
        scene = scene_of_fields(json.loads(line))
        [made] = map_scenes([scene], self._model, self._config, Path(paths.results))
        rejects = made.rejects if isinstance(made, SceneMap) else (made,)
        for it in rejects:
            if it.reason in (MapReason.BUSY, MapReason.MODEL_FAILED):
                raise TransientDataError(f"{scene.scene_id}: {it.detail}")
        shutil.rmtree(Path(paths.results, UNFINISHED, scene.scene_id), ignore_errors=True)
        uri = scene.files[0].path
        lines = [_reject_line(it.key, uri, it.reason, it.detail) for it in rejects]
        summary = _summary(made)
        paths.finish(block.shard, b"".join(lines), summary)
        return summary


def _summary(made: SceneMap | MapReject) -> IngestSummary:
    """Counts a scene; the tiles that a map lacks are not images, and are counted beside them."""
    if not isinstance(made, SceneMap):
        return IngestSummary({}, {MAPPED: 0}, {str(made.reason): 1})
    lacking = Counter(f"tile: {it.reason}" for it in made.rejects)
    return IngestSummary({}, {MAPPED: 1}, ignored=lacking)


def _reject_line(key: str, uri: str, reason: str, detail: str) -> bytes:
    row: dict[str, Any] = {"key": key, "uri": uri, "reason": reason, "detail": detail}
    return json.dumps(row).encode() + b"\n"
