"""Reason codes of rejects, as written to a table of rejects."""

from enum import StrEnum

from components.raster.image import Refusal


class Reason(StrEnum):
    """Reasons of rejects: a model's own refusals, then those of files and rows, of
    scenes, of tiles, and of labels."""

    UNSUPPORTED_FORMAT = Refusal.UNSUPPORTED_FORMAT.value
    TOO_MANY_BYTES = Refusal.TOO_MANY_BYTES.value
    TOO_MANY_PIXELS = Refusal.TOO_MANY_PIXELS.value
    TOO_MUCH_WORK = Refusal.TOO_MUCH_WORK.value
    CORRUPT = Refusal.CORRUPT.value
    WRONG_BANDS = Refusal.WRONG_BANDS.value
    WRONG_VALUES = Refusal.WRONG_VALUES.value
    NOT_FINITE = Refusal.NOT_FINITE.value
    MISSING_FILE = "missing_file"
    UNREADABLE = "unreadable"
    OUTSIDE_SOURCE = "outside_source"
    NO_LABEL = "no_label"
    UNKNOWN_LABEL = "unknown_label"
    UNKNOWN_SPLIT = "unknown_split"
    BAD_ROW = "bad_row"
    DUPLICATE_KEY = "duplicate_key"
    DUPLICATE_ACROSS_SPLITS = "duplicate_across_splits"
    CONFLICTING_LABEL = "conflicting_label"

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
    NO_MASK = "no_mask"
    MASK_DIFFERS = "mask_differs"
    NO_BOXES = "no_boxes"
    BOXES_DIFFER = "boxes_differ"
    AMBIGUOUS_TRUTH = "ambiguous_truth"

    UNLIKE_TRAINING = "unlike_training"

    UNREADABLE_BLOCK = "unreadable_block"
    TOO_LITTLE_VALID = "too_little_valid"

    EMPTY_GEOMETRY = "empty_geometry"
    UNSUPPORTED_GEOMETRY = "unsupported_geometry"
    BROKEN_GEOMETRY = "broken_geometry"
    SELF_CROSSING = "self_crossing"
    NO_CLASS = "no_class"
    UNKNOWN_CLASS = "unknown_class"
    NO_NUMBER = "no_number"
    NOT_PROJECTABLE = "not_projectable"
    OUTSIDE_SCENES = "outside_scenes"
    BAD_ENTRY = "bad_entry"
    NO_IMAGE = "no_image"
    OUTSIDE_IMAGE = "outside_image"
    CROWD = "crowd"
