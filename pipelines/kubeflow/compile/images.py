"""Checks that a package names only images whose content does not change."""

import re
from collections.abc import Collection

from components.raster.errors import ConfigError

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_MUTABLE = {"latest", "main", "master", "head", "dev", "develop", "nightly", "edge", "stable"}


def is_fixed(image: str) -> bool:
    """Checks whether an image has a digest or a tag that by convention never moves."""
    if _DIGEST.search(image):
        return True
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return bool(colon and tag) and tag.lower() not in _MUTABLE and "@" not in image


def check_image(image: str | None, node: str, mutable: Collection[str]) -> str:
    """Returns the image if it may be used.

    A cache key holds the image's name and not its content: with a moving tag, new code would reuse
    the outputs of old code.

    Raises:
        ConfigError: there is none, or its tag may move and is not among `mutable`.
    """
    if not image:
        raise ConfigError(
            f"{node} has no image: give kubeflow.steps.image, by digest or with a fixed tag"
        )
    if not is_fixed(image) and image not in mutable:
        raise ConfigError(
            f"{node}: the image {image} can change under the same name. Name it by digest "
            f"(@sha256:...) or with a fixed tag, or list {image} in kubeflow.mutable_images"
        )
    return image
