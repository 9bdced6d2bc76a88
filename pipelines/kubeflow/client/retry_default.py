"""Retries that Argo's controller gives every step by default, and their effect on `retries`."""

from collections.abc import Mapping
from typing import Any

import yaml

from pipelines.kubeflow.client.finding import OK, WARNING, DoctorFinding

#: The settings of Argo's controller, in the namespace of Kubeflow Pipelines.
CONFIG_MAP = "workflow-controller-configmap"

_DEFAULTS = "workflowDefaults"
_FIELD = "spec.templateDefaults.retryStrategy.retryPolicy"
#: Argo's policies, and what a package's `retries` do under each.
_EFFECTS: Mapping[str, tuple[str, str]] = {
    "Always": (OK, "`retries` repeat failures and lost pods"),
    "OnFailure": (WARNING, "`retries` repeat failures and no lost pods"),
    "OnError": (WARNING, "`retries` repeat lost pods and no failures"),
    "OnTransientError": (WARNING, "`retries` repeat only what Argo counts as transient"),
}


def default_policy(settings: Mapping[str, str]) -> str:
    """Returns the policy of a step that names none, as no step of a package does.

    Argo merges `templateDefaults` into each template field by field.

    >>> default_policy({})
    'OnFailure'
    >>> default = "{limit: 2, retryPolicy: OnError}"
    >>> text = f"spec: {{templateDefaults: {{retryStrategy: {default}}}}}"
    >>> default_policy({"workflowDefaults": text})
    'OnError'

    Args:
        settings: the ConfigMap's texts by key; older ones have a single key `config`.

    Raises:
        ValueError: a text is not YAML, or has another structure.
    """
    try:
        defaults: Any = yaml.safe_load(settings.get(_DEFAULTS, "")) or {}
        if "config" in settings:
            defaults = (yaml.safe_load(settings["config"]) or {}).get(_DEFAULTS) or {}
        for name in ("spec", "templateDefaults", "retryStrategy"):
            defaults = defaults.get(name) or {}
        policy = defaults.get("retryPolicy") or ("Always" if "expression" in defaults else "")
    except (yaml.YAMLError, AttributeError) as error:
        raise ValueError(f"{_DEFAULTS} cannot be read: {error}") from error
    return str(policy or "OnFailure")


def retries_under(policy: str, namespace: str) -> DoctorFinding:
    """Returns the effect of a policy on the `retries` of a package, and the remedy."""
    state, effect = _EFFECTS.get(policy, (WARNING, "Argo knows no such policy"))
    detail = f"steps have retryPolicy {policy}: {effect}"
    if state == OK:
        return DoctorFinding("retries", OK, detail)
    remedy = f"In {CONFIG_MAP} of {namespace} set {_DEFAULTS}: {_FIELD} to Always"
    return DoctorFinding("retries", state, detail, remedy)
