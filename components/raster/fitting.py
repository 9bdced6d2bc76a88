"""Masks and boxes fitted from an image's shape to the model's, in numpy.

The geometry is that of `serving.graph.fitting`, which resizes the image itself in a graph, down to
how sizes are rounded. Masks are resampled to the nearest pixel, so that no class is invented.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.raster.image import ImageSpec

#: Least share of an object's box that must remain if the model's image cuts it.
LEAST_BOX_SHARE = 0.25


@dataclass(frozen=True)
class Placement:
    """Placement of an image in the model's image: resized, then moved, then cut or padded.

    Attributes:
        size_px: (height, width) of the original image.
        resized_px: (height, width) to which all of it is resized.
        offset_px: (row, column) of its corner in the model's image; below 0 if it is cut.
        frame_px: (height, width) of the model's image.
    """

    size_px: tuple[int, int]
    resized_px: tuple[int, int]
    offset_px: tuple[int, int]
    frame_px: tuple[int, int]


def place(height_px: int, width_px: int, spec: ImageSpec) -> Placement:
    """Computes the placement that `spec.fit` gives an image of that shape.

    >>> place(100, 200, ImageSpec(height_px=64, width_px=64, fit="pad")).resized_px
    (32, 64)
    >>> place(100, 200, ImageSpec(height_px=64, width_px=64, fit="crop")).offset_px
    (0, -32)
    """
    size = np.array([height_px, width_px], np.float32)
    frame = np.array([spec.height_px, spec.width_px], np.float32)
    if spec.fit == "pad":
        resized = size / np.max(size / frame)
        offset = np.maximum(np.floor((frame - resized) / 2), 0)
        resized = np.floor(resized)
    elif spec.fit == "crop":
        resized = np.maximum(np.round(size * np.max(frame / size)), frame)
        offset = -((resized - frame) // 2)
    else:
        resized, offset = frame, np.zeros(2)
    return Placement((height_px, width_px), _pair(resized), _pair(offset), _pair(frame))


def fit_mask(mask: npt.NDArray[np.integer], spec: ImageSpec, fill: int) -> npt.NDArray[np.integer]:
    """Resamples a mask [h, w] to the pixels [H, W] of the model's image, by nearest pixel.

    Pixels outside the image are `fill`: pass the mask's ignore value.
    """
    placement = place(mask.shape[0], mask.shape[1], spec)
    rows, columns = (_source_indices(placement, axis) for axis in (0, 1))
    fitted = mask[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))]
    fitted[rows < 0] = fill
    fitted[:, columns < 0] = fill
    return fitted


def fit_picture(
    picture: npt.NDArray[np.uint8], spec: ImageSpec, fill: tuple[int, int, int] = (0, 0, 0)
) -> npt.NDArray[np.uint8]:
    """Fits a picture [h, w, 3] to the model's image, for display: by nearest pixel.

    Args:
        fill: the colour of pixels outside the image.
    """
    placement = place(picture.shape[0], picture.shape[1], spec)
    rows, columns = (_source_indices(placement, axis) for axis in (0, 1))
    fitted = picture[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))]
    fitted[rows < 0] = fill
    fitted[:, columns < 0] = fill
    return fitted


def unfit_mask(
    raster: npt.NDArray[np.integer], size_px: tuple[int, int], spec: ImageSpec, fill: int
) -> npt.NDArray[np.integer]:
    """Resamples a raster [H, W] from the model's shape to an image of `size_px`.

    Inverts `fit_mask`, by nearest pixel; pixels that the model did not see are `fill`.
    """
    placement = place(*size_px, spec)
    rows, columns = (_frame_indices(placement, axis) for axis in (0, 1))
    found = raster[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))]
    found[rows < 0] = fill
    found[:, columns < 0] = fill
    return found


def unfit_boxes(
    edges_px: npt.NDArray[np.floating], size_px: tuple[int, int], spec: ImageSpec
) -> npt.NDArray[np.float64]:
    """Converts boxes in the model's image to pixels of an image of `size_px`: the inverse of
    `fit_boxes`, clipped to the image's edges.
    """
    placement = place(*size_px, spec)
    moved = np.asarray(edges_px, np.float64).reshape(-1, 4) - np.tile(placement.offset_px, 2)
    scale = np.divide(placement.size_px, placement.resized_px)
    return np.clip(moved * np.tile(scale, 2), 0, np.tile(size_px, 2))


def fit_boxes(
    edges_px: npt.NDArray[np.floating], size_px: tuple[int, int], spec: ImageSpec
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Converts boxes of an image of `size_px` (height, width) to pixels of the model's image.

    Args:
        edges_px: (N, 4): top, left, bottom, right in pixels of the original image.

    Returns: edges (N, 4), clipped to the frame, and (N,) the remaining share of each box, 0 to 1.
    """
    placement = place(*size_px, spec)
    scale = np.divide(placement.resized_px, placement.size_px)
    moved = np.asarray(edges_px, np.float64).reshape(-1, 4) * np.tile(scale, 2)
    moved += np.tile(placement.offset_px, 2)
    cut = np.clip(moved, 0, np.tile(placement.frame_px, 2))
    whole, left = _areas(moved), _areas(cut)
    share = np.divide(left, whole, out=np.zeros_like(left), where=whole > 0)
    return cut.astype(np.float32), share.astype(np.float32)


def _source_indices(placement: Placement, axis: int) -> npt.NDArray[np.int64]:
    """Returns the image pixel of each frame pixel; -1 outside the image."""
    size, resized = placement.size_px[axis], placement.resized_px[axis]
    at = np.arange(placement.frame_px[axis]) - placement.offset_px[axis]
    scale = np.float32(size) / np.float32(resized)
    nearest = np.floor((at.astype(np.float32) + np.float32(0.5)) * scale).astype(np.int64)
    inside = (at >= 0) & (at < resized)
    return np.where(inside, np.minimum(nearest, size - 1), -1)


def _frame_indices(placement: Placement, axis: int) -> npt.NDArray[np.int64]:
    """Returns the frame pixel of each image pixel; -1 outside the frame."""
    size, resized = placement.size_px[axis], placement.resized_px[axis]
    at = np.floor((np.arange(size) + 0.5) * (resized / size)).astype(np.int64)
    at = np.minimum(at, resized - 1) + placement.offset_px[axis]
    return np.where((at >= 0) & (at < placement.frame_px[axis]), at, -1)


def _areas(edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    height, width = edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]
    return np.maximum(height, 0) * np.maximum(width, 0)


def _pair(values: npt.NDArray[np.floating]) -> tuple[int, int]:
    return int(values[0]), int(values[1])
