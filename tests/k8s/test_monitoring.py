"""Rules and dashboard are PromQL about metrics that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from tests.k8s.conftest import Manifests

# Of TensorFlow Serving 2.19.1, with the labels that each has; histograms have their three series.
COUNTERS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
}
HISTOGRAMS = {
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:batching_session:processed_batch_size": set[str](),
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
}
# Of Prometheus itself, kube-state-metrics and the kubelet.
OTHERS = {
    "up": set[str](),
    "kube_deployment_spec_replicas": {"deployment"},
    "kube_deployment_status_replicas_available": {"deployment"},
    "container_cpu_usage_seconds_total": {"container"},
    "container_memory_working_set_bytes": {"container"},
}
METRICS = {
    **COUNTERS,
    **OTHERS,
    **{
        f"{name}_{part}": labels for name, labels in HISTOGRAMS.items() for part in ("sum", "count")
    },
    **{f"{name}_bucket": {*labels, "le"} for name, labels in HISTOGRAMS.items()},
}
TARGET_LABELS = {"job", "namespace", "pod"}


def rules(production: Manifests) -> list[dict[str, Any]]:
    groups = production.one("PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard(production: Manifests) -> dict[str, Any]:
    [board] = [
        config
        for config in production.of("ConfigMap")
        if config["metadata"]["labels"].get("grafana_dashboard")
    ]
    [text] = board["data"].values()
    return dict(json.loads(text))


def expressions(production: Manifests) -> Iterator[str]:
    yield from (rule["expr"] for rule in rules(production))
    for panel in dashboard(production)["panels"]:
        for target in panel["targets"]:
            # What Grafana puts in before it asks.
            yield target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "n")


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """The vector selectors of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    if isinstance(node, promql_parser.MatrixSelector):
        yield node.vector_selector
    for name in ("lhs", "rhs", "expr"):
        if (child := getattr(node, name, None)) is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)


def test_every_metric_and_label_exists(production: Manifests) -> None:
    recorded = {rule["record"] for rule in rules(production) if "record" in rule}
    seen = set()
    for expression in expressions(production):
        for selector in selectors(promql_parser.parse(expression)):
            seen.add(selector.name)
            if selector.name in recorded:
                continue
            assert selector.name in METRICS, expression
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= METRICS[selector.name] | TARGET_LABELS, expression
    assert {":tensorflow:serving:request_latency_count", *recorded} <= seen


def test_what_rules_and_dashboard_use_is_kept_at_scraping(production: Manifests) -> None:
    [endpoint] = production.one("ServiceMonitor")["spec"]["endpoints"]
    [relabeling] = endpoint["metricRelabelings"]
    for name in COUNTERS.keys() | HISTOGRAMS.keys():
        assert re.fullmatch(relabeling["regex"], name)


def test_alerts_say_what_to_do(production: Manifests) -> None:
    alerts = [rule for rule in rules(production) if "alert" in rule]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) >= 5
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert set(alert["annotations"]) == {"summary", "description"}


def test_alerts_name_the_deployment_and_the_job(production: Manifests) -> None:
    names = {production.one("Deployment")["metadata"]["name"]}
    for expression in expressions(production):
        assert set(re.findall(r'(?:deployment|job)="([^"]+)"', expression)) <= names


def test_the_dashboard_is_one_that_grafana_imports(production: Manifests) -> None:
    board = dashboard(production)
    assert board["uid"] == "skymill-serving"
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(panels)))
    assert used == variables


@pytest.mark.parametrize("expression", ["sum(rate(x[5m])", "rate(x)"])
def test_the_parser_does_refuse(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        promql_parser.parse(expression)
