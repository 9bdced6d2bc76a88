"""Split of an example: a pure function of its content, group and given split, not of the run."""

import hashlib
from typing import Self

from pydantic import Field, model_validator

from components.raster.example import SPLITS
from components.raster.frozen import Frozen

_TOLERANCE = 1e-6
_OTHER_NAMES = {
    "training": "train",
    "val": "eval",
    "valid": "eval",
    "validation": "eval",
    "dev": "eval",
    "testing": "test",
}


class SplitConfig(Frozen):
    """Rule that assigns a split to examples without a given one."""

    train: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="fraction of the examples, as a share of the hash space",
    )
    eval: float = Field(default=0.15, gt=0, lt=1, description="fraction, as for train")
    test: float = Field(default=0.15, gt=0, lt=1, description="fraction, as for train")
    salt: str = Field(
        default="", description="salt of the hash; another salt gives another, equally fair draw"
    )

    stratify: bool = Field(
        default=False,
        description="give each split its share of every class, however rare; images are then "
        "distributed together, so a new image may move others to another split",
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.train + self.eval + self.test
        if abs(total - 1) > _TOLERANCE:
            raise ValueError(
                f"train, eval and test are fractions and must add up to 1, not {total:g}"
            )
        return self

    def share(self, split: str) -> float:
        """Returns the fraction of one of `SPLITS`."""
        return {"train": self.train, "eval": self.eval, "test": self.test}[split]


def split_of(content_sha256: str, group: str | None, given: str | None, config: SplitConfig) -> str:
    """Returns the split of one example: the given one, else by its group, else by its content.

    Args:
        content_sha256: hex digest of the file.
        group: of examples that must stay together (a scene, a farm, a day), or None.
        given: one of `SPLITS`, or None.
        config: fractions and salt.

    >>> split_of("0" * 64, "farm-7", None, SplitConfig())
    'eval'
    >>> split_of("f" * 64, "farm-7", None, SplitConfig())
    'eval'
    >>> split_of("f" * 64, "farm-7", "test", SplitConfig())
    'test'
    """
    if given is not None:
        return given
    if group is not None:
        return drawn_split("group", group, config)
    return drawn_split("content", content_sha256, config)


def drawn_split(kind: str, value: str, config: SplitConfig) -> str:
    """Draws a split from `value` alone: 64 bits of a salted sha256 against the fractions."""
    place = _drawn(kind, value, config)
    if place < config.train:
        return "train"
    return "eval" if place < config.train + config.eval else "test"


def drawn_order(value: str, config: SplitConfig) -> tuple[float, str]:
    """Returns a sort key that shuffles values; another salt gives another order."""
    return _drawn("order", value, config), value


def _drawn(kind: str, value: str, config: SplitConfig) -> float:
    salted = f"{config.salt}\0{kind}\0{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(salted).digest()[:8], "big") / 2**64


def split_named(name: str) -> str | None:
    """Parses a user's name of a split (`val` and `validation` mean eval); None for an empty one.

    Raises:
        ValueError: the word is not a split's name.

    >>> split_named("validation")
    'eval'
    >>> print(split_named(""))
    None
    """
    word = name.strip().lower()
    if not word:
        return None
    split = _OTHER_NAMES.get(word, word)
    if split not in SPLITS:
        known = ", ".join((*SPLITS, *_OTHER_NAMES))
        raise ValueError(f"there is no split {name!r}: use {known}")
    return split
