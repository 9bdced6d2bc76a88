"""Requests and responses by the definitions that Kubeflow's client was generated from."""

import json
from types import SimpleNamespace
from typing import Any

import kfp_server_api

from tests.kubeflow.api_server.refusals import Refusal, invalid

_API = kfp_server_api.ApiClient(kfp_server_api.Configuration())


def request(name: str, tree: Any, /) -> Any:
    """The model of a request's body; a field that the model lacks is refused, in depth."""
    if not isinstance(tree, dict):
        raise invalid(f"the body of the request is not a {name}")
    _check(name, tree, name)
    try:
        return _API.deserialize(SimpleNamespace(data=json.dumps(tree)), name)
    except (ValueError, TypeError, kfp_server_api.ApiException) as error:
        raise invalid(f"{name}: {error}") from error


def response(name: str, /, **values: Any) -> dict[str, Any]:
    """The body of a response, as the model of that name allows it."""
    model = getattr(kfp_server_api, name)(**values)
    tree: dict[str, Any] = _API.sanitize_for_serialization(model)
    return tree


def _check(name: str, tree: Any, path: str) -> None:
    if name.startswith("list["):
        for one in tree:
            _check(name[5:-1], one, path)
        return
    kind = getattr(kfp_server_api, name, None)
    if kind is None or not isinstance(tree, dict):
        return
    fields = {kind.attribute_map[key]: one for key, one in kind.openapi_types.items()}
    for key, value in tree.items():
        if key not in fields:
            raise Refusal(3, f'proto: (line 1:2): unknown field "{key}"')
        _check(fields[key], value, f"{path}.{key}")
