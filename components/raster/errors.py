"""Base classes of all errors that a user may see."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from components.raster.masking import masked


def _restored(
    kind: type["PortableError"], args: tuple[Any, ...], state: Mapping[str, Any]
) -> "PortableError":
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class PortableError(Exception):
    """An error that another process can raise again, whatever its constructor takes.

    Python restores an exception by calling its class with `args`, which fails if the constructor
    takes something else; process pools and Beam's workers then lose the message.
    """

    def __reduce__(self) -> tuple[Callable[..., "PortableError"], tuple[Any, ...]]:
        return _restored, (type(self), self.args, self.__dict__)


class SkymillError(PortableError):
    """A message with the fault, its place and the next step, without an address's secrets.

    Attributes:
        lasting: another attempt with the same inputs fails in the same way.
    """

    lasting: ClassVar[bool] = False

    def __str__(self) -> str:
        return masked(super().__str__())

    def __repr__(self) -> str:
        return masked(super().__repr__())


class ConfigError(SkymillError):
    """A configuration names something that does not exist or is impossible."""

    lasting = True


class DataError(SkymillError):
    """A data source as a whole cannot be read; a single bad item is a reject instead."""

    lasting = True


class TransientDataError(DataError):
    """Another process or a concurrent change ended an attempt; the next one may succeed."""

    lasting = False


#: Causes that another attempt would meet again: a missing file or permission, and content.
_LASTING_OS_ERRORS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
_CONTENT_ERRORS = (ValueError, KeyError)


def is_lasting(error: BaseException) -> bool:
    """Checks whether another attempt with the same inputs would meet the same error.

    It would if the error's class says so and its only causes are content, a missing file or a
    missing permission. Any other cause may be a network or a store. Beam raises a worker's error
    again while it handles the original, whose causes count too.

    >>> is_lasting(DataError("no images")), is_lasting(OSError("no answer"))
    (True, False)
    """
    if not isinstance(error, SkymillError):
        return False
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if not _lasts(at):
            return False
        seen.add(id(at))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return True


def _lasts(error: BaseException) -> bool:
    if isinstance(error, SkymillError):
        return error.lasting
    if isinstance(error, OSError):  # some are a ValueError too, such as that of a certificate
        return isinstance(error, _LASTING_OS_ERRORS)
    return isinstance(error, _CONTENT_ERRORS)
