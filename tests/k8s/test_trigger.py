"""The watch in a cluster: its rights, its connections, and the consistency of its parts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.watch import command
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.config.watch import ConfigMapState
from pipelines.kubeflow.client.connection import IN_CLUSTER_TOKEN
from tests.k8s.conftest import TRIGGERS, Manifests, render_folder

PAGES = ("watch.md", "install-kubeflow.md")


@pytest.fixture(params=TRIGGERS)
def trigger(request: pytest.FixtureRequest, render: Callable[[str], Manifests]) -> Manifests:
    return render(request.param)


@pytest.fixture
def deployment(render: Callable[[str], Manifests]) -> Manifests:
    return render("trigger/deployment")


def spec(trigger: Manifests) -> dict[str, Any]:
    [found] = trigger.pod_specs()
    return found


def container(trigger: Manifests) -> dict[str, Any]:
    [found] = spec(trigger)["containers"]
    return dict(found)


def mounts(trigger: Manifests) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container(trigger)["volumeMounts"]}


def volumes(trigger: Manifests) -> dict[str, dict[str, Any]]:
    return {volume["name"]: volume for volume in spec(trigger)["volumes"]}


def configuration(trigger: Manifests) -> PipelineConfig:
    [text] = [
        one["data"]["skymill.yaml"]
        for one in trigger.of("ConfigMap")
        if one["metadata"]["name"] == volumes(trigger)["config"]["configMap"]["name"]
    ]
    return parse_config(yaml.safe_load(text), base_dir="/")


def test_it_may_change_one_configmap_and_start_runs(trigger: Manifests) -> None:
    rules = trigger.one("Role")["rules"]
    assert {
        (group, resource): (set(rule["verbs"]), rule.get("resourceNames"))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    } == {
        ("", "configmaps"): ({"get", "update"}, ["skymill-watch"]),
        ("pipelines.kubeflow.org", "pipelines"): ({"create", "list"}, None),
        ("pipelines.kubeflow.org", "experiments"): ({"create", "list"}, None),
        ("pipelines.kubeflow.org", "runs"): ({"create", "get", "list"}, None),
    }
    assert not trigger.of("ClusterRole") + trigger.of("ClusterRoleBinding")
    binding, account = trigger.one("RoleBinding"), trigger.one("ServiceAccount")["metadata"]
    [subject] = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert binding["roleRef"]["name"] == trigger.one("Role")["metadata"]["name"]
    assert spec(trigger)["serviceAccountName"] == account["name"]


def test_the_configmap_of_the_role_is_there_and_is_the_configurations(trigger: Manifests) -> None:
    state = configuration(trigger).watch.state
    assert isinstance(state, ConfigMapState)
    [kept] = [one for one in trigger.of("ConfigMap") if one["metadata"]["name"] == state.name]
    assert "data" not in kept, "another apply would undo what the watch has written"
    [names] = [
        rule["resourceNames"]
        for rule in trigger.one("Role")["rules"]
        if rule["resources"] == ["configmaps"]
    ]
    assert names == [state.name]


def test_the_pod_meets_the_restricted_standard(trigger: Manifests) -> None:
    pod = spec(trigger)
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    one = container(trigger)
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(one["resources"]["requests"])
    assert one["resources"]["limits"]["memory"]


def test_it_writes_nowhere_but_in_its_own_folder(trigger: Manifests) -> None:
    writable = {name for name, mount in mounts(trigger).items() if not mount.get("readOnly")}
    assert writable == {"tmp"}
    assert "emptyDir" in volumes(trigger)["tmp"]
    assert set(mounts(trigger)) == set(volumes(trigger))


def test_its_tokens_are_short_lived_and_each_for_one_server(trigger: Manifests) -> None:
    tokens = {
        name: source["serviceAccountToken"]
        for name, volume in volumes(trigger).items()
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    }
    assert all(token["expirationSeconds"] <= 7200 for token in tokens.values())
    assert {name: token.get("audience") for name, token in tokens.items()} == {
        "cluster-token": None,
        "pipelines-token": "pipelines.kubeflow.org",
    }
    paths = {name: f"{mounts(trigger)[name]['mountPath']}/token" for name in tokens}
    assert paths == {
        "cluster-token": "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "pipelines-token": IN_CLUSTER_TOKEN,
    }


def test_its_command_is_one_that_is_understood(trigger: Manifests) -> None:
    [*program, name, path] = container(trigger)["command"][:5]
    assert (program, name) == (["python", "-m", "pipelines.cli"], "watch")
    assert path == f"{mounts(trigger)['config']['mountPath']}/skymill.yaml"
    flags = container(trigger)["command"][5:]
    assert ("--once" in flags) == bool(trigger.of("CronJob"))
    assert CliRunner().invoke(command, [*flags, "--help"]).exit_code == 0


def test_its_source_lies_where_the_steps_look_for_it(
    trigger: Manifests, render: Callable[[str], Manifests]
) -> None:
    config = configuration(trigger)
    assert config.watch.target == "kubeflow"
    steps = {volume.path: volume.claim for volume in config.kubeflow.steps.volumes or ()}
    claim = render("pipeline").one("PersistentVolumeClaim")["metadata"]["name"]
    mount = mounts(trigger)["skymill"]
    assert volumes(trigger)["skymill"]["persistentVolumeClaim"]["claimName"] == claim
    assert steps[mount["mountPath"]] == claim
    assert config.ingest.source.uri.startswith(f"{mount['mountPath']}/")


def test_ports_probes_and_the_secret_are_the_configurations(deployment: Manifests) -> None:
    endpoint = configuration(deployment).watch.endpoint
    assert endpoint is not None
    [port] = container(deployment)["ports"]
    assert port["containerPort"] == endpoint.port
    assert container(deployment)["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container(deployment)["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    [service] = deployment.one("Service")["spec"]["ports"]
    assert service["targetPort"] == port["name"] == "http"
    assert endpoint.secret_file is not None
    folder = mounts(deployment)["events"]["mountPath"]
    assert Path(endpoint.secret_file).parent == Path(folder)
    assert "secret" in volumes(deployment)["events"]


def test_selectors_find_the_pod(trigger: Manifests) -> None:
    [workload] = trigger.of("Deployment") + trigger.of("CronJob")
    outer = workload["spec"].get("jobTemplate", workload)["spec"]
    labels = outer["template"]["metadata"]["labels"].items()
    selectors = [one["spec"]["podSelector"]["matchLabels"] for one in trigger.of("NetworkPolicy")]
    selectors += [one["spec"]["selector"] for one in trigger.of("Service")]
    if trigger.of("Deployment"):
        selectors.append(workload["spec"]["selector"]["matchLabels"])
    assert selectors
    assert all(selector.items() <= labels for selector in selectors)


def test_it_reaches_kubeflow_the_cluster_and_stores_and_only_senders_reach_it(
    trigger: Manifests,
) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in trigger.of("NetworkPolicy")}
    base = policies["skymill-watch"]
    assert base["policyTypes"] == ["Ingress", "Egress"]
    assert base["ingress"] == []
    names, kubeflow, outside = base["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    [server] = kubeflow["to"]
    assert server["podSelector"]["matchLabels"] == {"app": "ml-pipeline"}
    assert [port["port"] for port in kubeflow["ports"]] == [8888]
    assert outside["to"][0]["ipBlock"]["except"] == ["169.254.0.0/16"]
    assert {port["port"] for port in outside["ports"]} == {443, 6443}
    if trigger.of("CronJob"):
        assert set(policies) == {"skymill-watch"}
        return
    senders, prometheus = policies["skymill-watch-events"]["ingress"]
    [who] = senders["from"]
    assert who == {"namespaceSelector": {"matchLabels": {"trigger.skymill/sender": "true"}}}
    [who] = prometheus["from"]
    assert set(who) == {"namespaceSelector", "podSelector"}


def test_looks_never_overlap_and_a_missed_one_is_not_made_up_for(
    render: Callable[[str], Manifests],
) -> None:
    job = render("trigger/cronjob").one("CronJob")["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec(render("trigger/cronjob"))["restartPolicy"] == "Never"


def test_the_documented_settings_of_ones_own(repository: Path, tmp_path: Path) -> None:
    pages = {name: (repository / "docs" / name).read_text() for name in PAGES}
    [example] = re.findall(
        r"```yaml\n(# own/kustomization.yaml\n.*?)```", pages["watch.md"], re.DOTALL
    )
    [parts] = re.findall(
        r"```yaml\n(# skymill.yaml\n.*?)```", pages["install-kubeflow.md"], re.DOTALL
    )
    [watch] = re.findall(r"```yaml\n(watch:\n.*?)```", pages["install-kubeflow.md"], re.DOTALL)
    (tmp_path / "skymill").symlink_to(repository)
    own = tmp_path / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(example)
    (own / "skymill.yaml").write_text(parts + watch)
    result = render_folder(own)
    assert container(result)["image"] == "registry.example/skymill/pipeline@sha256:" + 64 * "0"
    config = configuration(result)
    assert config.watch.target == "kubeflow"
    endpoint = config.watch.endpoint
    assert endpoint is not None
    assert endpoint.port == container(result)["ports"][0]["containerPort"]
    assert endpoint.secret_file == f"{mounts(result)['events']['mountPath']}/secret"
    secret = volumes(result)["events"]["secret"]["secretName"]
    for page in pages.values():
        assert f"create secret generic {secret} " in page
