"""Store of the accepted schema: a text file or object that people may read and edit."""

import hashlib

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.raster.errors import ConfigError
from components.raster.stores.object_store import ABSENT, ObjectStore
from components.raster.stores.opening import open_object

_HEADER = """\
# The accepted schema of the data: a tensorflow_metadata.proto.v0.Schema in text form.
# It may be edited by hand; `skymill schema show` checks it and says it in words.
"""


def accepted_digest(home: str) -> str:
    """Returns the sha256 of the accepted schema at `home`, or "" without one.

    Resolved before a run starts and passed to the Schema node, so that a newly accepted schema is
    never a cache hit.
    """
    content = _read(home)
    return "" if content is None else hashlib.sha256(content).hexdigest()


def read_accepted(home: str) -> schema_pb2.Schema | None:
    """Returns the accepted schema, or None; raises ConfigError, with the line, if it is damaged."""
    content = _read(home)
    return None if content is None else parse(content, home)


def parse(content: bytes, source: str) -> schema_pb2.Schema:
    """Parses a schema's text; raises ConfigError, naming `source` and the error in it."""
    try:
        schema = text_format.Parse(content.decode(), schema_pb2.Schema())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is not a schema: {error}; correct or remove it") from error
    domains = {domain.name for domain in schema.string_domain}
    for feature in schema.feature:
        if feature.HasField("domain") and feature.domain not in domains:
            raise ConfigError(
                f"{source}: feature {feature.name!r} names the domain {feature.domain!r}, which "
                f"does not exist; add a string_domain of that name, or remove the line"
            )
    if not schema.feature:
        raise ConfigError(f"{source} has no features; correct or remove it")
    return schema


def to_text(schema: schema_pb2.Schema) -> str:
    """Formats the text that `parse` reads, with a header comment for its readers."""
    return _HEADER + text_format.MessageToString(schema, as_utf8=True)


def accept(home: str, schema: schema_pb2.Schema) -> str | None:
    """Replaces the accepted schema atomically.

    The previous content is first copied, byte for byte, to NAME.0001.pbtxt beside it (or the next
    free number), whose path is returned; None if there was no previous content, or the same.

    Raises:
        ConfigError: another schema was accepted at the same moment.
        StorageError: `home` cannot be read or written.
    """
    content = to_text(schema).encode()
    parse(content, home)
    store, name = open_object(home)
    previous = store.revision(name)
    if previous.content == content:
        return None
    backup = None
    if previous.content is not None:
        backup = home[: len(home) - len(name)] + _write_backup(store, name, previous.content)
    if not store.replace(name, content, previous.version):
        raise ConfigError(f"{home} was changed at the same moment; look at it, and accept again")
    return backup


def _write_backup(store: ObjectStore, name: str, content: bytes) -> str:
    """Writes the content beside `name` under the first free number; returns its path."""
    stem, dot, suffix = name.rpartition(".")
    for number in range(1, 10_000):
        candidate = f"{stem or name}.{number:04d}{dot}{suffix if stem else 'pbtxt'}"
        if store.replace(candidate, content, ABSENT):
            return candidate
    raise ConfigError(f"{store.uri}/{name} has 9,999 earlier schemas beside it; remove some")


def _read(place: str) -> bytes | None:
    store, name = open_object(place)
    return store.revision(name).content
