"""Scenes that cannot be used, each with its remedy."""

from components.raster.errors import DataError
from components.raster.reasons import Reason


class SceneRejected(DataError):
    """One scene cannot be used; the others can.

    Attributes:
        scene_id: which scene.
        reason: the code to count by.
        detail: what was found and what to do, for people.
    """

    def __init__(self, scene_id: str, reason: Reason, detail: str) -> None:
        super().__init__(f"Scene {scene_id!r} was rejected ({reason}): {detail}")
        self.scene_id = scene_id
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["SceneRejected"], tuple[str, Reason, str]]:
        # Beam pickles exceptions between workers; Exception's own pickling loses the arguments.
        return (type(self), (self.scene_id, self.reason, self.detail))
