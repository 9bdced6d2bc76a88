"""Base classes of every error that a user may see."""

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

    Python restores an exception by calling its class with `args`, which fails where the constructor
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
    """A configuration names something that does not exist or cannot be."""

    lasting = True


class DataError(SkymillError):
    """A data source as a whole cannot be read; a single bad item is a reject instead."""

    lasting = True


#: Causes that another attempt would meet again; any other may be a network or a store.
_LASTING_CAUSES = (
    *(SkymillError, ValueError, KeyError),
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError),
)


def is_lasting(error: BaseException) -> bool:
    """Checks whether another attempt with the same inputs would meet the same error.

    It would if the error's class says so, and nothing else caused it than content, a missing file
    or a missing right. Any other cause may be a network or a store.

    >>> is_lasting(DataError("no images")), is_lasting(OSError("no answer"))
    (True, False)
    """
    if not (isinstance(error, SkymillError) and error.lasting):
        return False
    cause = error.__cause__
    while cause is not None and isinstance(cause, _LASTING_CAUSES):
        cause = cause.__cause__
    return cause is None
