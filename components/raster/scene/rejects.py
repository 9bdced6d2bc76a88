"""Rejects of scenes that cannot be used, each with its remedy."""

from enum import StrEnum
from typing import Generic, TypeVar

from components.raster.errors import DataError
from components.raster.reasons import Reason

Code = TypeVar("Code", bound=StrEnum)


class RejectedScene(DataError, Generic[Code]):
    """One scene cannot be used; the others can.

    Attributes:
        scene_id: of the scene.
        reason: the code to count by.
        detail: the fault and the remedy, for people.
    """

    def __init__(self, scene_id: str, reason: Code, detail: str) -> None:
        super().__init__(f"Scene {scene_id!r} was rejected ({reason}): {detail}")
        self.scene_id = scene_id
        self.reason = reason
        self.detail = detail


class SceneRejected(RejectedScene[Reason]):
    """One scene cannot be read."""
