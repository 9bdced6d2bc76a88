"""Pairing of truths with images: one rule for masks and boxes, of photographs and of scenes.

A truth belongs to the image with the same path, apart from the suffix; else to one whose path ends
with the truth's, or the other way round; else to one with the same name. It does so only if no
other image and no other truth could be meant: ambiguous ones are left unpaired.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

_Key = tuple[object, ...]
_SHOWN = 3


class Name(NamedTuple):
    """A path that identifies an image or a truth.

    Attributes:
        parts: folders and name, without the suffix.
        suffix: with its dot; empty for a folder or an id.
    """

    parts: tuple[str, ...]
    suffix: str = ""


def file_name(path: str) -> Name:
    """Returns the name of a file from its path below a root.

    >>> file_name("north/B02.tif")
    Name(parts=('north', 'B02'), suffix='.tif')
    """
    parts = _parts(path)
    stem, dot, after = parts[-1].rpartition(".") if parts else ("", "", "")
    return Name((*parts[:-1], stem), dot + after) if stem and after else Name(parts)


def whole_name(path: str) -> Name:
    """Returns the name of a folder or an id, in which a dot begins no suffix."""
    return Name(_parts(path))


@dataclass(frozen=True)
class Dispute:
    """Images and truths whose pairing is ambiguous; at least one of each.

    Attributes:
        images: their indices.
        truths: their indices.
    """

    images: tuple[int, ...]
    truths: tuple[int, ...]

    def explain(self, images: Sequence[str], truths: Sequence[str]) -> str:
        """Describes the ambiguity, given the names of all images and truths."""
        return (
            f"{_listed(truths, self.truths, ' and ')} could belong to "
            f"{_listed(images, self.images, ' or ')}. Give each the name of its image, folders "
            "included, and keep one for each image."
        )


@dataclass(frozen=True)
class Pairing:
    """Pairs of images and truths.

    Attributes:
        truth_of: index of each image's truth; None if it has none.
        disputes: by image index, why an image is left without a truth.
        disputed: indices of truths that could belong to several images, or with others to one.
    """

    truth_of: tuple[int | None, ...]
    disputes: Mapping[int, Dispute] = field(default_factory=dict)
    disputed: frozenset[int] = frozenset()

    @property
    def used(self) -> frozenset[int]:
        """Indices of the truths that belong to an image."""
        return frozenset(truth for truth in self.truth_of if truth is not None)


class _By(StrEnum):
    PATH = "path"
    END = "end"
    NAME = "name"


class _Level(NamedTuple):
    """Properties that an image and its truth must share."""

    by: _By
    with_suffix: bool = False


_LEVELS = (_Level(_By.PATH), _Level(_By.END), _Level(_By.NAME))
_FILE_LEVELS = (
    _Level(_By.PATH, with_suffix=True),
    _Level(_By.PATH),
    _Level(_By.END, with_suffix=True),
    _Level(_By.END),
    _Level(_By.NAME),
)
_IMAGE, _TRUTH = "image", "truth"


def pair(
    images: Sequence[Collection[Name]], truths: Sequence[Name], *, of_files: bool = False
) -> Pairing:
    """Finds the truth of each image.

    Args:
        images: the names of each; a scene also has those of its files.
        truths: the name of each.
        of_files: truths name the images' files, so suffixes distinguish images.

    >>> images = [[file_name("north/1.jpg")], [file_name("south/1.jpg")]]
    >>> pair(images, [file_name("north/1.png")]).truth_of
    (0, None)
    >>> list(pair(images, [file_name("1.png")]).disputes)
    [0, 1]
    """
    truth_of: dict[int, int] = {}
    disputes: dict[int, Dispute] = {}
    disputed: set[int] = set()
    left: Sequence[int] = range(len(images))
    for level in _FILE_LEVELS if of_files else _LEVELS:
        relation = _related(level, images, truths, left)
        found, ambiguous = relation.settle(left, frozenset(truth_of.values()))
        truth_of |= found
        disputes |= ambiguous
        disputed |= relation.truths_near(ambiguous)
        left = [image for image in left if image not in truth_of and image not in disputes]
        if not left:
            break
    return Pairing(tuple(map(truth_of.get, range(len(images)))), disputes, frozenset(disputed))


@dataclass(frozen=True)
class _Relation:
    """Images and truths that have a key in common, at one level.

    Attributes:
        keys_of: of the images and of the truths, by side and index.
        images, truths: their indices, by key.
    """

    keys_of: Mapping[tuple[str, int], frozenset[_Key]]
    images: Mapping[_Key, Sequence[int]]
    truths: Mapping[_Key, Sequence[int]]

    def settle(
        self, left: Iterable[int], taken: frozenset[int]
    ) -> tuple[dict[int, int], dict[int, Dispute]]:
        """Returns the truths of images with a related truth not yet taken, and the disputes."""
        free = {key for key, held in self.truths.items() if not taken.issuperset(held)}
        found: dict[int, int] = {}
        ambiguous: dict[int, Dispute] = {}
        for image in left:
            keys = self.keys_of[_IMAGE, image]
            if free.isdisjoint(keys):
                continue
            truths = _some(self.truths, keys)
            rivals = _some(self.images, self.keys_of[_TRUTH, truths[0]])
            if len(truths) == len(rivals) == 1:
                found[image] = truths[0]
            else:
                ambiguous[image] = Dispute((image,) if len(truths) > 1 else rivals, truths)
        return found, ambiguous

    def truths_near(self, images: Iterable[int]) -> set[int]:
        """Returns all truths that are related to the given images."""
        keys = set(chain.from_iterable(self.keys_of[_IMAGE, image] for image in images))
        return set(chain.from_iterable(self.truths.get(key, ()) for key in keys))


def _related(
    level: _Level,
    images: Sequence[Collection[Name]],
    truths: Sequence[Name],
    left: Iterable[int],
) -> _Relation:
    """Relates the remaining images to truths, and these truths to all images."""
    keys_of: dict[tuple[str, int], frozenset[_Key]] = {}
    wanted: set[_Key] = set()
    for image in left:
        keys_of[_IMAGE, image] = _keys(level, images[image], _IMAGE)
        wanted |= keys_of[_IMAGE, image]
    images_at: dict[_Key, list[int]] = {}
    truths_at: dict[_Key, list[int]] = {}
    for truth, name in enumerate(truths):
        keys = _keys(level, (name,), _TRUTH)
        if not wanted.isdisjoint(keys):
            keys_of[_TRUTH, truth] = keys
            for key in keys:
                truths_at.setdefault(key, []).append(truth)
    for image, names in enumerate(images):
        for key in _keys(level, names, _IMAGE) & truths_at.keys():
            images_at.setdefault(key, []).append(image)
    return _Relation(keys_of, images_at, truths_at)


def _keys(level: _Level, names: Iterable[Name], side: str) -> frozenset[_Key]:
    """Returns the keys under which names on both sides match."""
    return frozenset(
        (*key, name.suffix if level.with_suffix else None)
        for name in names
        if name.parts
        for key in _parts_in_common(level.by, name.parts, side)
    )


def _parts_in_common(by: _By, parts: tuple[str, ...], side: str) -> Iterator[_Key]:
    if by is _By.PATH:
        yield (parts,)
    elif by is _By.NAME:
        yield (parts[-1],)
    else:  # the whole name on one side ends the name on the other
        other = _TRUTH if side == _IMAGE else _IMAGE
        yield side, parts
        yield from ((other, parts[at:]) for at in range(len(parts)))


def _some(held: Mapping[_Key, Sequence[int]], keys: Iterable[_Key]) -> tuple[int, ...]:
    """Returns the first few distinct indices, enough to distinguish one from several."""
    places = chain.from_iterable(held.get(key, ())[: _SHOWN + 1] for key in keys)
    return tuple(sorted(dict.fromkeys(places)))[: _SHOWN + 1]


def _listed(texts: Sequence[str], places: Sequence[int], last: str) -> str:
    named = [texts[place] for place in places[:_SHOWN]]
    return f"{', '.join(named)} and others" if len(places) > _SHOWN else last.join(named)


def _parts(path: str) -> tuple[str, ...]:
    """Splits a path into its parts; the only definition of equal names."""
    text = unicodedata.normalize("NFC", path.replace("\\", "/"))
    return tuple(part for part in text.split("/") if part not in ("", "."))
