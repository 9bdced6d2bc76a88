"""Scenes without a map, and the tiles that a map lacks, with their reasons."""

from dataclasses import dataclass
from enum import StrEnum

from components.raster.scene.rejects import RejectedScene, SceneRejected
from components.raster.tiles.tile import TileReject


class MapReason(StrEnum):
    """Reason codes of scenes that a model cannot map; reading them has its own: `Reason`."""

    WRONG_GSD = "wrong_gsd"
    WRONG_SCALING = "wrong_scaling"
    BAD_NAME = "bad_name"
    NO_DATA = "no_data"
    EXISTS = "exists"
    BUSY = "busy"
    CHANGED = "changed"
    MODEL_FAILED = "model_failed"
    UNREADABLE = "unreadable"


class MapRejected(RejectedScene[MapReason]):
    """One scene cannot be mapped; others can."""


@dataclass(frozen=True)
class MapReject:
    """A scene, or a tile of one, that is missing from the maps."""

    key: str
    reason: str
    detail: str

    @classmethod
    def of_scene(cls, rejected: SceneRejected | MapRejected) -> "MapReject":
        """Builds the reject of a whole scene."""
        return cls(rejected.scene_id, rejected.reason.value, rejected.detail)

    @classmethod
    def of_tile(cls, rejected: TileReject) -> "MapReject":
        """Builds the reject of a tile."""
        return cls(str(rejected.key), rejected.reason.value, rejected.detail)
