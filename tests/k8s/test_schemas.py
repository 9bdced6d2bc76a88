"""The oldest and the newest supported Kubernetes accept everything that is applied."""

import kubernetes_validate
import pytest
import yaml

from tests.k8s.conftest import Manifests

OLDEST, NEWEST = "1.31", "1.37"

# Types that operators define; no schema of Kubernetes' own knows them.
CUSTOM = {
    "flink.apache.org/v1beta1": {"FlinkDeployment"},
    "monitoring.coreos.com/v1": {"PrometheusRule", "ServiceMonitor"},
}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_schemas(manifests: Manifests, version: str) -> None:
    for resource in manifests.resources:
        if resource["kind"] in CUSTOM.get(resource["apiVersion"], set()):
            continue
        assert kubernetes_validate.validate(resource, version, strict=True) == version


def test_strict_schemas_do_refuse(production: Manifests) -> None:
    broken = yaml.safe_load(yaml.safe_dump(production.one("Deployment")))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(broken, NEWEST, strict=True)
