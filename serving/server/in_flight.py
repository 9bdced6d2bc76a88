"""Limit on the bytes of requests and answers that a process holds at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager

from serving.server.errors import Code, ServingError


class BytesInFlight:
    """Limit on the bytes of all requests together, which a few large ones cannot use up.

    A request may hold at most as much as it leaves free. So the total stays within the limit, and
    as it fills up, large requests are refused first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @contextmanager
    def hold(self) -> Iterator["ReservedBytes"]:
        """Accounts for one request during the block; it holds nothing at first."""
        held = self.begin()
        try:
            yield held
        finally:
            held.release()

    def begin(self) -> "ReservedBytes":
        """Like `hold`, but the caller calls `release`."""
        return ReservedBytes(self)

    def change(self, held: int, wanted: int) -> None:
        """Changes the bytes that one request holds from `held` to `wanted`.

        Raises:
            ServingError: RESOURCE_EXHAUSTED; nothing changes.
        """
        others = self._held - held
        if wanted > held and wanted > self._limit - others - wanted:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"The server holds {others} bytes of other requests, and max_bytes_in_flight is "
                f"{self._limit}: there is no room for {wanted} more. Try again later.",
            )
        self._held = others + wanted


class ReservedBytes:
    """Bytes of one request, and later of its answer."""

    def __init__(self, in_flight: BytesInFlight) -> None:
        self._in_flight = in_flight
        self._bytes = 0

    def reach(self, wanted: int) -> None:
        """Holds at least `wanted` bytes.

        Raises:
            ServingError: RESOURCE_EXHAUSTED, if all requests together would hold too many.
        """
        if wanted > self._bytes:
            self._in_flight.change(self._bytes, wanted)
            self._bytes = wanted

    def release(self) -> None:
        """Releases all bytes."""
        self._in_flight.change(self._bytes, 0)
        self._bytes = 0
