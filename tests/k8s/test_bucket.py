"""Servers whose models come from a bucket: rights and secrets of the sidecar alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.conftest import Manifests


@pytest.fixture
def bucket(render: Callable[[str], Manifests]) -> Manifests:
    return render("overlays/bucket")


def spec(manifests: Manifests) -> dict[str, Any]:
    return dict(manifests.one("Deployment")["spec"]["template"]["spec"])


def sidecar(manifests: Manifests) -> dict[str, Any]:
    [found] = [one for one in spec(manifests)["initContainers"] if "restartPolicy" in one]
    return dict(found)


def test_it_is_production_but_for_where_models_come_from(
    bucket: Manifests, production: Manifests
) -> None:
    assert bucket.server() == production.server()
    changed = {"Deployment", "NetworkPolicy"}
    assert [one for one in bucket.resources if one["kind"] not in changed] == [
        one for one in production.resources if one["kind"] not in changed
    ]
    [models] = [volume for volume in spec(bucket)["volumes"] if volume["name"] == "models"]
    assert set(models) == {"name", "emptyDir"}
    assert spec(bucket)["volumes"] != spec(production)["volumes"]


def test_the_sidecar_stays_beside_the_server_and_may_do_as_little(bucket: Manifests) -> None:
    one = sidecar(bucket)
    assert one["restartPolicy"] == "Always"
    assert one["securityContext"] == bucket.server()["securityContext"]
    assert {"cpu", "memory"} <= set(one["resources"]["requests"])
    assert one["resources"]["limits"]["memory"]
    names = [found["name"] for found in spec(bucket)["initContainers"]]
    assert names == ["ssl-config", "models"] or names == ["models", "ssl-config"]


def test_the_sidecar_writes_where_the_server_reads(bucket: Manifests, repository: Path) -> None:
    [*_, source, folder] = sidecar(bucket)["command"]
    mounts = {mount["name"]: mount for mount in sidecar(bucket)["volumeMounts"]}
    assert Path(folder).parent == Path(mounts["models"]["mountPath"])
    served = {mount["name"]: mount for mount in bucket.server()["volumeMounts"]}
    assert served["models"]["readOnly"] is True
    assert served["models"]["mountPath"] == mounts["models"]["mountPath"]
    config = (repository / "docker" / "serving" / "models.config").read_text()
    assert f'base_path: "{folder}"' in config
    assert source.rpartition("/")[2] == Path(folder).name


def test_its_command_is_one_that_runs(bucket: Manifests, repository: Path) -> None:
    [program, *arguments] = sidecar(bucket)["command"]
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments, "--help"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert "--once" in done.stdout


def test_keys_are_the_sidecars_alone_and_by_reference(bucket: Manifests) -> None:
    assert [source["secretRef"] for source in sidecar(bucket)["envFrom"]] == [
        {"name": "skymill-models-store", "optional": True}  # a cloud identity needs none
    ]
    assert "envFrom" not in bucket.server()
    assert not [one for one in sidecar(bucket)["env"] if one["name"].startswith("AWS")]


def test_out_goes_names_and_tls_and_nothing_to_the_nodes_identity(bucket: Manifests) -> None:
    names, store = bucket.one("NetworkPolicy")["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} == {
        (53, "UDP"),
        (53, "TCP"),
    }
    assert store["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert store["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
