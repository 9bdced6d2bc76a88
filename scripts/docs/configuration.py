"""The reference of the configuration: a table of keys for each part, from the JSON schema."""

import json
from collections.abc import Iterator
from typing import Any

from pipelines.config.tree import config_json_schema

_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}
_ROOT = "PipelineConfig"
_INTRODUCTION = """# Configuration

Every key of `skymill.yaml`, made from the types that read it. Unknown keys are refused.
`skymill config check` reads a file and names each wrong key with a valid value;
`skymill config json-schema` prints the same as a JSON schema, for editors.

A key in **bold** is required. *Part* in the column of types is a table of keys of its own, below.
"""


def configuration_page() -> str:
    """Returns the page as Markdown."""
    schema = json.loads(config_json_schema())
    parts = {_ROOT: schema} | schema["$defs"]
    sections = [_section(name, paths, parts) for name, paths in used_at(parts).items()]
    return "\n".join([_INTRODUCTION, *sections])


def used_at(parts: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the paths at which each part of the tree is used, in the order of the tree."""
    found: dict[str, list[str]] = {_ROOT: [""]}

    def visit(name: str, path: str) -> None:
        for key, field in parts[name].get("properties", {}).items():
            for part, suffix in _parts_in(field, parts):
                place = f"{path}.{key}{suffix}".lstrip(".")
                new = part not in found
                found.setdefault(part, []).append(place)
                if new:
                    visit(part, place)

    visit(_ROOT, "")
    return found


def _parts_in(field: Any, parts: dict[str, Any], suffix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the tables of a field's type, each with `[]` or `.*` for a list or a mapping."""
    if name := field.get("$ref", "").rpartition("/")[2]:
        if "properties" in parts[name]:
            yield name, suffix
        else:
            yield from _parts_in(parts[name], parts, suffix)
    for choice in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _parts_in(choice, parts, suffix)
    if isinstance(items := field.get("items"), dict):
        yield from _parts_in(items, parts, f"{suffix}[]")
    if isinstance(values := field.get("additionalProperties"), dict):
        yield from _parts_in(values, parts, f"{suffix}.*")


def _section(name: str, paths: list[str], parts: dict[str, Any]) -> str:
    part = parts[name]
    places = ", ".join(f"`{path}`" for path in paths if path)
    lines = [
        f"## {name}",
        "",
        *([f"At {places}.", ""] if places else []),
        part.get("description", ""),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    required = part.get("required", ())
    for key, field in part["properties"].items():
        shown = f"**`{key}`**" if key in required else f"`{key}`"
        cells = (
            shown,
            type_of(field, parts),
            _default(field, key in required),
            _meaning(field, parts),
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _meaning(field: Any, parts: dict[str, Any]) -> str:
    """Returns a key's description; without one, the first sentence on the part that it leads to."""
    text = field.get("description", "")
    if not text and "const" in field:
        return "Chooses this part."
    found = {name for name, _ in _parts_in(field, parts)}
    if not text and len(found) == 1:
        text = parts[found.pop()].get("description", "").partition("\n\n")[0]
    return " ".join(text.split())


def _default(field: Any, required: bool) -> str:
    """Formats a default as YAML; empty for a whole part, whose own table has the defaults."""
    if required or "default" not in field:
        return ""
    value = field["default"]
    if isinstance(value, dict) and value:
        return "its own"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def type_of(field: Any, parts: dict[str, Any]) -> str:
    """Returns a field's type in words, with a link to each part that has a table."""
    if name := field.get("$ref", "").rpartition("/")[2]:
        part = parts[name]
        return f"[{name}](#{name.lower()})" if "properties" in part else type_of(part, parts)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if choices := field.get("anyOf") or field.get("oneOf"):
        words = [type_of(it, parts) for it in choices if it.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if field.get("type") == "array":
        return _list(field, parts)
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {type_of(values, parts)}" if isinstance(values, dict) else "mapping"
    if field.get("type") == "null":
        return "null"
    bounds = [text.format(field[name]) for name, text in _BOUNDS.items() if name in field]
    kind = field.get("format") or field.get("type") or "any value"
    return " ".join([str(kind), ", ".join(bounds)]).strip()


def _list(field: Any, parts: dict[str, Any]) -> str:
    if "prefixItems" in field:
        words = dict.fromkeys(type_of(it, parts) for it in field["prefixItems"])
        return f"list of {len(field['prefixItems'])}: {', '.join(words)}"
    items = field.get("items")
    return f"list of {type_of(items, parts)}" if items else "list"
