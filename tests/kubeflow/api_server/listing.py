"""Filters, order and pages of a listing, as the API server has them."""

import base64
import json
import re
from typing import Any

from tests.kubeflow.api_server.refusals import invalid

_FIELDS = {
    "runs": {"run_id", "display_name", "created_at", "description", "state", "experiment_id"}
    | {"recurring_run_id", "storage_state", "finished_at", "scheduled_at", "namespace"},
    "recurring_runs": {"recurring_run_id", "display_name", "created_at", "description"},
    "experiments": {"experiment_id", "display_name", "created_at", "namespace"},
    "pipelines": {"pipeline_id", "name", "display_name", "created_at", "namespace"},
    "pipeline_versions": {"pipeline_version_id", "name", "display_name", "created_at"},
}
_OPERATIONS = {1: "EQUALS", 2: "NOT_EQUALS", 9: "IS_SUBSTRING"}
_MOST = 200


def page(part: str, items: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """One page of what fits the query."""
    found = [one for one in items if _fits(part, one, query.get("filter", ""))]
    key, _, order = query.get("sort_by", "").partition(" ")
    if key and key not in _FIELDS[part]:
        raise invalid(f"Cannot sort on field {key}")
    found.sort(key=lambda one: str(one.get(key or "created_at")), reverse=order == "desc")
    size = min(int(query.get("page_size") or 0) or 20, _MOST)
    start = int(base64.b64decode(query["page_token"])) if query.get("page_token") else 0
    rest = start + size < len(found)
    token = base64.b64encode(str(start + size).encode()).decode() if rest else ""
    return {
        part: found[start : start + size],
        "total_size": len(found),
        "next_page_token": token,
    }


def _fits(part: str, one: dict[str, Any], text: str) -> bool:
    return all(_holds(part, one, it) for it in json.loads(text)["predicates"]) if text else True


def _holds(part: str, one: dict[str, Any], predicate: dict[str, Any]) -> bool:
    key, wanted = predicate["key"], str(predicate.get("stringValue", predicate.get("string_value")))
    if key not in _FIELDS[part]:
        raise invalid(f'no support for filtering on unrecognized field "{key}"')
    operation = predicate["operation"]
    operation = _OPERATIONS.get(operation, operation)
    has = str(one.get(key) or "")
    if operation == "EQUALS":
        return has == wanted
    if operation == "IS_SUBSTRING":  # LIKE '%...%' of the database, wildcards and all
        like = re.escape(wanted).replace("%", ".*").replace("_", ".")
        return re.search(like, has, re.IGNORECASE | re.DOTALL) is not None
    if operation == "NOT_EQUALS":
        return has != wanted
    raise invalid(f"invalid predicate operation: {operation}")
