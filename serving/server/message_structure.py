"""Number of fields in a gRPC message, counted before it is parsed."""

from functools import cache

from google.protobuf.descriptor import Descriptor

from serving.server.errors import Code, ServingError

_SMALL = 1 << 16  # bytes; too few to become anything large
_LONGEST_VARINT = 10  # bytes of a 64-bit value
_VARINT, _DELIMITED = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


class _MalformedField(Exception):
    """Malformed field; the parser reports it in its own words."""


def check_fields(content: bytes, message: Descriptor, max_fields: int) -> None:
    """Refuses a message with too many fields, including those of nested messages.

    A field of two bytes may become an object of fifty, and a name of three bytes a whole tensor.
    Values of a packed field do not count as fields; fields unknown to the message type do.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if len(content) <= _SMALL:
        return
    try:
        too_many = _has_more(content, message, max_fields)
    except _MalformedField:
        return
    if too_many:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"the message has more than {max_fields} fields (max_message_fields)",
        )


def _has_more(content: bytes, message: Descriptor, max_fields: int) -> bool:
    place, end, within = 0, len(content), _messages_within(message)
    outer: list[tuple[int, dict[int, Descriptor]]] = []
    for _ in range(max_fields + 1):
        while place == end:
            if not outer:
                return False
            end, within = outer.pop()
        tag, place = _varint(content, place)
        kind, size = tag & 7, 0
        if kind == _VARINT:
            _, place = _varint(content, place)
        elif kind == _DELIMITED:
            size, place = _varint(content, place)
        else:  # a group's start and end are only tags; its fields count as this message's
            size = _FIXED_BYTES.get(kind, 0)
        if place + size > end:
            raise _MalformedField
        known = within.get(tag >> 3) if kind == _DELIMITED else None
        if known is None:
            place += size
        else:
            outer.append((end, within))
            end, within = place + size, _messages_within(known)
    return True


@cache
def _messages_within(message: Descriptor) -> dict[int, Descriptor]:
    fields = message.fields_by_number.items()
    return {n: it.message_type for n, it in fields if it.message_type is not None}


def _varint(content: bytes, place: int) -> tuple[int, int]:
    if place < len(content) and content[place] < 0x80:  # nearly all are this short
        return content[place], place + 1
    value = 0
    for index, byte in enumerate(content[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise _MalformedField
