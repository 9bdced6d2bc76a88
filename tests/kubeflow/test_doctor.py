"""`skymill doctor`: faults of an installation and their remedies."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli.main import cli
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.doctor import Needs, examine
from pipelines.kubeflow.client.finding import FAILED, OK, UNKNOWN, WARNING, DoctorFinding
from pipelines.kubeflow.client.images import ImageName
from pipelines.kubeflow.client.retry_default import default_policy
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.cluster.api import KubernetesApi
from tests.kubeflow.api_server.server import Api, api_server, bearer
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.cluster import Cluster, kubernetes_api
from tests.loopback import QuietHandler, http_server

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def cluster() -> Iterator[tuple[Cluster, KubernetesApi]]:
    """A namespace in which everything is as `k8s/pipeline` and Kubeflow leave it."""
    with kubernetes_api() as (found, api):
        found.put("v1", "serviceaccounts", {"metadata": {"name": "skymill-steps"}})
        ready = [{"addresses": [{"ip": "10.0.0.5"}]}]
        found.put("v1", "endpoints", {"metadata": {"name": "minio-service"}, "subsets": ready})
        put_claim(found, "skymill", "Bound", "ReadWriteMany")
        put_retries(found, "Always")
        found.put("v1", "secrets", {"metadata": {"name": "store"}})
        yield found, api


def put_claim(cluster: Cluster, name: str, phase: str, mode: str) -> None:
    spec = {"accessModes": [mode]}
    claim = {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}
    cluster.put("v1", "persistentvolumeclaims", claim)


def put_retries(cluster: Cluster, policy: str, namespace: str = "kubeflow") -> None:
    """The controller's settings with the lines of Kubeflow Pipelines 2.17.0, of any policy."""
    defaults = f"""\
spec:
  ttlStrategy:
    secondsAfterCompletion: 3600
  templateDefaults:
    retryStrategy:
      limit: '2'
      retryPolicy: {policy}
"""
    metadata = {"name": "workflow-controller-configmap"}
    body = {"metadata": metadata, "data": {"executor": "{}", "workflowDefaults": defaults}}
    cluster.put("v1", "configmaps", body, namespace)


def look(
    api: Api, cluster: KubernetesApi | None, namespace: str = "", **needs: tuple[str, ...]
) -> list[DoctorFinding]:
    server = KubeflowServer(Connection(api.url, namespace=namespace))
    return examine(server, cluster, Needs("skymill-steps", **needs))


def states(found: list[DoctorFinding]) -> dict[str, str]:
    return {one.check: one.state for one in found}


def one(found: list[DoctorFinding], check: str) -> DoctorFinding:
    [finding] = [it for it in found if it.check == check]
    return finding


def test_a_complete_installation_passes_every_check(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    found = look(api, cluster[1], claims=("skymill",), secrets=("store",))
    assert set(states(found).values()) == {OK}
    assert all(not it.remedy for it in found)
    detail = "release 2.17.0, with ML Metadata, single-user; metrics need --metadata"
    assert one(found, "version").detail == detail


def test_a_server_without_mlmd_is_reported(cluster: tuple[Cluster, KubernetesApi]) -> None:
    with api_server(Store(mlmd=False)) as api:
        found = look(api, cluster[1])
    assert one(found, "version").detail == "release unknown, without ML Metadata, single-user"


def test_what_is_missing_is_named_with_its_remedy(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    there, kubernetes = cluster
    for path in list(there.objects):
        if not path.endswith("/skymill"):
            del there.objects[path]
    put_claim(there, "lost", "Lost", "ReadWriteMany")
    put_claim(there, "late", "Pending", "ReadWriteMany")
    put_claim(there, "narrow", "Bound", "ReadWriteOnce")
    claims = ("skymill", "gone", "lost", "late", "narrow")
    found = look(api, kubernetes, claims=claims, secrets=("store",))
    wrong = {(it.check, it.state, it.detail) for it in found if it.state != OK}
    assert wrong == {
        ("account", FAILED, "there is no ServiceAccount skymill-steps in kubeflow"),
        (
            "pipeline root",
            FAILED,
            "minio://mlpipeline: there is no minio-service or seaweedfs in kubeflow",
        ),
        ("claims", FAILED, "there is no claim gone in kubeflow"),
        ("claims", FAILED, "lost is Lost"),
        ("claims", UNKNOWN, "late is not bound; it may wait for its first pod"),
        ("claims", UNKNOWN, "narrow is bound, but only ReadWriteOnce"),
        ("secrets", FAILED, "there is no Secret store in kubeflow"),
        ("retries", UNKNOWN, "there is no workflow-controller-configmap in kubeflow"),
    }
    assert all(it.remedy for it in found if it.state != OK)
    assert "kubectl apply -k k8s/pipeline" in one(found, "account").remedy


def test_the_root_is_the_configurations_or_that_of_the_launcher(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    there, kubernetes = cluster
    launcher = {"metadata": {"name": "kfp-launcher"}, "data": {"defaultPipelineRoot": "s3://b/r"}}
    there.put("v1", "configmaps", launcher)
    finding = one(look(api, kubernetes), "pipeline root")
    assert (finding.state, finding.detail) == (UNKNOWN, "s3://b/r: only a pod has its credentials")
    finding = one(look(api, kubernetes, pipeline_root="minio://other/r"), "pipeline root")
    assert finding == DoctorFinding("pipeline root", OK, "minio://other/r: minio-service is ready")


def test_a_namespace_that_the_server_ignores_is_reported(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    """A single-user installation ignores it silently."""
    found = one(look(api, cluster[1], namespace="team"), "namespace")
    assert (found.state, found.remedy.partition(",")[0]) == (WARNING, "Leave out --namespace")


@pytest.mark.parametrize("addresses", [[{"ip": "10.0.0.5"}], []], ids=["ready", "not ready"])
def test_the_store_of_newer_releases_is_found_in_the_namespace_of_the_installation(
    api: Api, cluster: tuple[Cluster, KubernetesApi], addresses: list
) -> None:
    there, kubernetes = cluster
    there.objects = {}
    subsets = [{"addresses": addresses}]
    there.put("v1", "endpoints", {"metadata": {"name": "seaweedfs"}, "subsets": subsets})
    finding = one(look(api, kubernetes.within("team")), "pipeline root")
    if addresses:
        assert finding == DoctorFinding(
            "pipeline root", OK, "minio://mlpipeline: seaweedfs is ready"
        )
    else:
        assert finding.state == FAILED
        assert finding.detail.endswith("seaweedfs has no ready pod in kubeflow")


def test_a_default_that_keeps_retries_from_repeating_failures_is_reported(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    """As the default of 2.17.0 does; tests/backend runs the cases on Argo itself."""
    there, kubernetes = cluster
    put_retries(there, "OnError")
    for namespace in ("kubeflow", "team"):
        finding = one(look(api, kubernetes.within(namespace)), "retries")
        assert finding.state == WARNING
        assert finding.detail.endswith("OnError: `retries` repeat lost pods and no failures")
        assert "In workflow-controller-configmap of kubeflow set" in finding.remedy
        assert finding.remedy.endswith("spec.templateDefaults.retryStrategy.retryPolicy to Always")
    put_retries(there, "OnError")
    there.objects["/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"] = {}
    finding = one(look(api, kubernetes), "retries")
    assert finding.state == WARNING
    assert finding.detail.endswith("OnFailure: `retries` repeat failures and no lost pods")


def test_a_missing_right_to_read_the_default_is_reported(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    there, kubernetes = cluster
    there.denied = {("get", "configmaps")}
    finding = one(look(api, kubernetes, pipeline_root="minio://a"), "retries")
    assert finding.state == UNKNOWN
    assert finding.detail == "you may not read workflow-controller-configmap in kubeflow"
    assert "kubectl -n kubeflow get configmap" in finding.remedy


@pytest.mark.parametrize(
    ("strategy", "policy"),
    [
        ("", "OnFailure"),
        ("{limit: 2}", "OnFailure"),
        ("{retryPolicy: OnError}", "OnError"),
        ("{expression: 'true'}", "Always"),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_the_default_is_read_as_argo_reads_it(strategy: str, policy: str, old: bool) -> None:
    defaults = f"workflowDefaults: {{spec: {{templateDefaults: {{retryStrategy: {strategy}}}}}}}"
    settings = {"config": defaults} if old else dict([defaults.split(": ", 1)])
    assert default_policy(settings) == policy


@pytest.mark.parametrize("text", ["{", "a text", "spec: [1]"])
def test_settings_that_are_none_are_reported(
    api: Api, cluster: tuple[Cluster, KubernetesApi], text: str
) -> None:
    there, kubernetes = cluster
    metadata = {"name": "workflow-controller-configmap"}
    there.put("v1", "configmaps", {"metadata": metadata, "data": {"workflowDefaults": text}})
    finding = one(look(api, kubernetes), "retries")
    assert (finding.state, "cannot be read" in finding.detail) == (UNKNOWN, True)


def test_with_several_users_the_rights_of_the_caller_are_reviewed(
    cluster: tuple[Cluster, KubernetesApi],
) -> None:
    there, kubernetes = cluster
    there.denied = {("create", "runs"), ("terminate", "runs")}
    with api_server(Store(multi_user=True)) as api:
        assert one(look(api, kubernetes), "namespace").remedy == "Give --namespace"
        found = look(api, kubernetes, namespace="kubeflow")
        assert one(found, "namespace") == DoctorFinding("namespace", OK, "kubeflow")
        rights = one(found, "rights")
        assert rights.detail == "in kubeflow you lack runs: create, runs: terminate"
        there.denied = set()
        assert one(look(api, kubernetes, namespace="kubeflow"), "rights").state == OK


def test_a_training_on_several_pods_needs_jobset(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    there, kubernetes = cluster
    server = KubeflowServer(Connection(api.url))
    needs = Needs("skymill-steps", workers=True)
    finding = one(examine(server, kubernetes, needs), "workers")
    assert (finding.state, "k8s/workers" in finding.remedy) == (FAILED, True)
    there.objects["/apis/jobset.x-k8s.io/v1alpha2"] = {"kind": "APIResourceList"}
    assert one(examine(server, kubernetes, needs), "workers").state == OK


def test_who_may_not_look_learns_that_and_no_more(
    api: Api, cluster: tuple[Cluster, KubernetesApi]
) -> None:
    there, kubernetes = cluster
    there.forbidden = {"secrets"}
    finding = one(look(api, kubernetes, secrets=("store",)), "secrets")
    assert finding.state == UNKNOWN
    assert "answered 403" in finding.detail
    found = look(api, None, claims=("skymill",))
    assert states(found)["claims"] == states(found)["rights"] == UNKNOWN
    assert "KUBECONFIG" in one(found, "claims").remedy


def test_a_server_that_refuses_or_is_away_fails_at_once() -> None:
    with api_server(guard=bearer({"secret"})) as api:
        found = look(api, None)
    assert one(found, "connection").state == FAILED
    assert "version" not in states(found)
    assert one(look(api, None), "connection").detail.count("cannot be reached") == 1


def test_an_old_release_fails(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    server = KubeflowServer(Connection(api.url))
    asked = server.api.get

    def old(what: str, path: str, **query: str) -> dict:
        return {"tag_name": "2.4.1"} if path == "healthz" else asked(what, path, **query)

    monkeypatch.setattr(server.api, "get", old)
    finding = one(examine(server, None, Needs("")), "version")
    assert (finding.state, finding.remedy) == (FAILED, "Install Kubeflow Pipelines 2.5 or newer")


@contextmanager
def registry() -> Iterator[str]:
    """A registry with a public image, a private one, and one that requires a token."""

    class Handler(QuietHandler):
        def do_HEAD(self) -> None:
            name = self.path.removeprefix("/v2/")
            has_token = self.headers["Authorization"] == "Bearer pull open"
            if has_token or name == f"public/manifests/{DIGEST}":
                self._end(200)
            elif name.startswith(("private/", "open/")):
                host = self.headers["Host"]
                realm = f'Bearer realm="http://{host}/token",service="here"'
                self._end(401, realm if name.startswith("open/") else "Basic")
            else:
                self._end(404)

        def do_GET(self) -> None:
            assert self.path == "/token?service=here&scope=repository%3Aopen%3Apull"
            body = json.dumps({"token": "pull open"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _end(self, status: int, challenge: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if challenge:
                self.send_header("WWW-Authenticate", challenge)
            self.end_headers()

    with http_server(Handler) as url:
        yield url.removeprefix("http://")


def test_images_are_looked_up_without_credentials(api: Api) -> None:
    with registry() as host:
        names = ("public@" + DIGEST, "open:1", "private:1", "missing:1")
        images = tuple(f"{host}/{name}" for name in names)
        found = [it for it in look(api, None, images=images) if it.check == "images"]
        assert [it.state for it in found] == [OK, OK, FAILED, FAILED]
        assert "image_pull_secrets" in found[2].remedy
        found = look(api, None, images=images[2:3], pull_secrets=("registry",))
        assert one(found, "images").state == UNKNOWN
        assert "registry" in one(found, "images").remedy
    finding = one(look(api, None, images=images[:1]), "images")
    assert (finding.state, finding.detail) == (
        UNKNOWN,
        f"{images[0]}: its registry cannot be reached from here",
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alpine", ("registry-1.docker.io", "library/alpine", "latest")),
        ("docker.io/team/app:2", ("registry-1.docker.io", "team/app", "2")),
        ("registry.example:5000/a/b:1@" + DIGEST, ("registry.example:5000", "a/b", DIGEST)),
        ("localhost/a:1", ("localhost", "a", "1")),
    ],
)
def test_an_images_name_is_read_as_container_runtimes_do(text: str, parts: tuple) -> None:
    image = ImageName.parse(text)
    assert (image.registry, image.repository, image.reference) == parts


def test_the_command_reads_the_configuration_and_fails_with_a_check(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    runner = CliRunner()
    done = runner.invoke(cli, ["doctor", "--endpoint", api.url, "--json"])
    assert done.exit_code == 0, done.output
    assert {it["state"] for it in json.loads(done.output)} == {OK, UNKNOWN}
    with registry() as host:
        tree = yaml.safe_load((repository / "tests/golden/kubeflow.yaml").read_text())
        tree["kubeflow"]["steps"]["image"] = f"{host}/missing:1"
        tree["kubeflow"].pop("nodes", None)
        path = tmp_path / "skymill.yaml"
        path.write_text(yaml.safe_dump(tree))
        done = runner.invoke(cli, ["doctor", "--endpoint", api.url, "-c", str(path)])
    assert done.exit_code == 1
    assert f"failed  images        {host}/missing:1 does not exist" in done.output
    assert "Push it, or correct the name" in done.output
    assert "skymill config check" in runner.invoke(cli, ["doctor"]).output
