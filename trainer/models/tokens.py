"""Features of a transformer: a token for each patch of the image, and some more before them."""

from typing import Any

import keras


def token_grid(
    tokens: int, height_px: int, width_px: int, patch_px: int | tuple[int, int] | None
) -> tuple[int, int] | None:
    """Rows and columns of the finest grid that so many tokens can stand for.

    A network may merge its patches (2 x 2) as often as it likes, and put a few tokens of the whole
    image (a class, registers) before them.

    Args:
        patch_px: sides of the patches that the network begins with; None: it does not tell.
    """
    if patch_px is None:
        return None
    patch_height, patch_width = (patch_px, patch_px) if isinstance(patch_px, int) else patch_px
    rows, columns = height_px // patch_height, width_px // patch_width
    while rows * columns > tokens:
        rows, columns = rows // 2, columns // 2
    return (rows, columns) if rows * columns > 0 else None


def token_vector(tokens: Any, rows: int, columns: int) -> Any:
    """[N, D]: the first of the tokens of the whole image, or else the mean of all patches."""
    count, depth = tokens.shape[1:]
    if count == rows * columns:
        return keras.layers.GlobalAveragePooling1D()(tokens)
    return keras.layers.Reshape((depth,))(keras.layers.Cropping1D((0, count - 1))(tokens))


def token_map(tokens: Any, rows: int, columns: int) -> Any:
    """[N, rows, columns, D]: the tokens of the patches, which are the last ones."""
    count, depth = tokens.shape[1:]
    of_patches = keras.layers.Cropping1D((count - rows * columns, 0))(tokens)
    return keras.layers.Reshape((rows, columns, depth))(of_patches)
