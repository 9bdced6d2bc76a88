"""Reason codes of scenes that cannot be used, each with its remedy."""

from enum import StrEnum

from components.raster.errors import DataError


class SceneRefusal(StrEnum):
    """The reason codes of whole scenes, as they stand in a table of rejects."""

    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    SEVERAL_PAGES = "several_pages"
    UNKNOWN_PAGE = "unknown_page"
    NO_CRS = "no_crs"
    NO_TRANSFORM = "no_transform"
    NOT_ON_EARTH = "not_on_earth"
    ONLY_CONTROL_POINTS = "only_control_points"
    NO_BANDS = "no_bands"
    UNKNOWN_BAND = "unknown_band"
    AMBIGUOUS_BAND = "ambiguous_band"
    BANDS_DIFFER_IN_GRID = "bands_differ_in_grid"
    BANDS_DIFFER_IN_DTYPE = "bands_differ_in_dtype"
    UNSUPPORTED_DTYPE = "unsupported_dtype"
    LOSSY_DTYPE = "lossy_dtype"
    NO_SCALE = "no_scale"
    BLOCK_TOO_LARGE = "block_too_large"
    SMALLER_THAN_TILE = "smaller_than_tile"
    OUTSIDE_AREA = "outside_area"
    NOT_METRIC = "not_metric"
    CANNOT_WARP = "cannot_warp"
    NO_ASSET = "no_asset"
    BAD_METADATA = "bad_metadata"


class SceneRejected(DataError):
    """One scene cannot be used; the others can.

    Attributes:
        scene_id: which scene.
        reason: the code to count by.
        detail: what was found and what to do, for people.
    """

    def __init__(self, scene_id: str, reason: SceneRefusal, detail: str) -> None:
        super().__init__(f"Scene {scene_id!r} was rejected ({reason}): {detail}")
        self.scene_id = scene_id
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["SceneRejected"], tuple[str, SceneRefusal, str]]:
        # Beam pickles exceptions between workers; Exception's own pickling loses the arguments.
        return (type(self), (self.scene_id, self.reason, self.detail))
