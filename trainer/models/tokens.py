"""Features of a transformer: a token for each patch of the image, after some global tokens."""

from typing import Any

import keras


def token_grid(
    tokens: int, height_px: int, width_px: int, patch_px: int | tuple[int, int] | None
) -> tuple[int, int] | None:
    """Returns the rows and columns of the finest grid that this number of tokens can represent.

    A network may merge its patches (2 x 2) any number of times, and put a few global tokens (a
    class, registers) before them.

    Args:
        patch_px: sides of the network's first patches; None if unknown.
    """
    if patch_px is None:
        return None
    patch_height, patch_width = (patch_px, patch_px) if isinstance(patch_px, int) else patch_px
    rows, columns = height_px // patch_height, width_px // patch_width
    while rows * columns > tokens:
        rows, columns = rows // 2, columns // 2
    return (rows, columns) if rows * columns > 0 else None


def token_vector(tokens: Any, rows: int, columns: int) -> Any:
    """Returns the vector [N, D]: the first global token, or else the mean of all patches."""
    count, depth = tokens.shape[1:]
    if count == rows * columns:
        return keras.layers.GlobalAveragePooling1D()(tokens)
    return keras.layers.Reshape((depth,))(keras.layers.Cropping1D((0, count - 1))(tokens))


def token_map(tokens: Any, rows: int, columns: int) -> Any:
    """Returns the map [N, rows, columns, D] of the patch tokens, which are the last ones."""
    count, depth = tokens.shape[1:]
    of_patches = keras.layers.Cropping1D((count - rows * columns, 0))(tokens)
    return keras.layers.Reshape((rows, columns, depth))(of_patches)
