"""Rules of the watch are PromQL about metrics that it exports."""

from pathlib import Path
from typing import Any

import promql_parser
import pytest

from pipelines.watch.metrics import Gauges
from tests.k8s.conftest import Manifests, render_folder
from tests.k8s.test_monitoring import selectors

OWN = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: kubeflow
resources:
  - ../skymill/k8s/trigger/deployment
components:
  - ../skymill/k8s/trigger/monitoring
"""


@pytest.fixture
def watched(repository: Path, tmp_path: Path) -> Manifests:
    (tmp_path / "skymill").symlink_to(repository)
    own = tmp_path / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(OWN)
    return render_folder(own)


def alerts(watched: Manifests) -> dict[str, dict[str, Any]]:
    groups = watched.one("PrometheusRule")["spec"]["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def exported() -> set[str]:
    """The names of a watch's metrics, as Prometheus reads them."""
    lines = Gauges().text().decode().splitlines()
    return {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}


def test_every_metric_is_the_watchs_and_of_its_job(watched: Manifests) -> None:
    names = set()
    for alert in alerts(watched).values():
        for selector in selectors(promql_parser.parse(alert["expr"])):
            names.add(selector.name)
            matchers = {one.name: one.value for one in selector.matchers.matchers}
            assert matchers == {"job": watched.one("Service")["metadata"]["name"]}
    assert names - exported() == {"up"}
    assert {"skymill_watch_start_failures_total", "skymill_watch_last_look_seconds"} <= names


def test_alerts_of_the_watch_say_what_to_do(watched: Manifests) -> None:
    assert len(alerts(watched)) == 3
    for alert in alerts(watched).values():
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert set(alert["annotations"]) == {"summary", "description"}


def test_the_monitor_finds_the_watch(watched: Manifests) -> None:
    monitor, service = watched.one("ServiceMonitor"), watched.one("Service")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == service["metadata"]["name"]
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_guide_names_the_component_and_every_alert(
    watched: Manifests, repository: Path
) -> None:
    text = (repository / "docs" / "watch.md").read_text()
    assert "../skymill/k8s/trigger/monitoring" in text
    for name in alerts(watched):
        assert f"| {name} |" in text
