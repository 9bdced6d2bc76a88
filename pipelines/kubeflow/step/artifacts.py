"""Converts the launcher's runtime artifacts to TFX artifacts, and back."""

from collections.abc import Mapping
from typing import Any

from tfx.types.artifact import Artifact, PropertyType
from tfx.utils import import_utils

from components.raster.errors import DataError
from pipelines.kubeflow.contract.uris import ArtifactPaths

#: Keys that the backend adds to an artifact's metadata for itself.
_INTERNAL = {"display_name", "store_session_info"}


def restore_artifact(given: Mapping[str, Any], type_path: str, places: ArtifactPaths) -> Artifact:
    """Restores the TFX artifact of a runtime artifact (protojson), with its class and local path.

    The backend stores every property as a custom one, every integer as a double, and wraps lists
    and structs once more; nulls are dropped.

    Raises:
        DataError: a property of the class has a value of another type.
    """
    artifact: Artifact = import_utils.import_class_by_path(type_path)()
    artifact.uri = places.to_path(given.get("uri", ""))
    for name, raw in given.get("metadata", {}).items():
        if raw is None or name in _INTERNAL:
            continue
        value = places.to_path(_whole(_unwrapped(raw)))
        declared = (artifact.PROPERTIES or {}).get(name)
        if declared is None:
            _set_custom(artifact, name, value)
        else:
            setattr(artifact, name, _cast(value, declared.type, name, given.get("uri", "")))
    return artifact


def publish_artifact(artifact: Artifact, name: str, places: ArtifactPaths) -> dict[str, Any]:
    """Returns the runtime artifact (protojson) of an output, with the URI of its upload."""
    proto = artifact.mlmd_artifact
    metadata = {key: _plain(value) for key, value in proto.properties.items()}
    for key, value in proto.custom_properties.items():
        structured = value.WhichOneof("value") == "struct_value"
        metadata[key] = (
            artifact.get_json_value_custom_property(key) if structured else _plain(value)
        )
    known = {key: value for key, value in metadata.items() if value is not None}
    return {
        "name": name,
        "uri": places.to_uri(artifact.uri),
        "metadata": places.to_uri(known),
    }


def _unwrapped(value: Any) -> Any:
    """Unwraps the backend's {"list": [...]} or {"struct": {...}}."""
    if isinstance(value, dict) and len(value) == 1:
        [(kind, inner)] = value.items()
        if (kind == "list" and isinstance(inner, list)) or (
            kind == "struct" and isinstance(inner, dict)
        ):
            return inner
    return value


def _whole(value: Any) -> Any:
    """Converts whole doubles back to integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_whole(item) for item in value if item is not None]
    return value


def _cast(value: Any, wanted: PropertyType, name: str, uri: str) -> Any:
    kinds: dict[PropertyType, Any] = {
        PropertyType.INT: int,
        PropertyType.FLOAT: float,
        PropertyType.STRING: str,
        PropertyType.BOOLEAN: bool,
    }
    kind = kinds.get(wanted)
    if kind is None:
        return value
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise DataError(
            f"{uri}: the property {name} came back as {value!r}, not as {kind.__name__}: the step "
            "that made it or the metadata store is of another version; run it again without cache"
        )
    return value


def _set_custom(artifact: Artifact, name: str, value: Any) -> None:
    if isinstance(value, bool | dict | list):
        artifact.set_json_value_custom_property(name, value)
    elif isinstance(value, int):
        artifact.set_int_custom_property(name, value)
    elif isinstance(value, float):
        artifact.set_float_custom_property(name, value)
    else:
        artifact.set_string_custom_property(name, value)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
