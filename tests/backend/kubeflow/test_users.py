"""An installation for several users: Kubeflow's own API server in that mode, and two accounts.

Their namespace has no controller of workflows, so that runs stay pending.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from pipelines.cli.main import cli
from pipelines.kubeflow.client.errors import KubeflowError, Unauthenticated
from tests.backend.kubeflow.calls import two_steps
from tests.backend.kubeflow.installation import Kubeflow, is_up, server_pod
from tests.backend.processes import free_ports, until

pytestmark = pytest.mark.backend

TEAM = "skymill"
_AUDIENCE = "pipelines.kubeflow.org"
_RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def endpoint(installation: Kubeflow) -> Iterator[str]:
    """The address of a second API server, with its own database and rights in all namespaces."""
    if not installation.cluster.own:
        pytest.skip("an installation has one API server, and this one is for one user")
    port, rpc = free_ports(2)
    command = ["apiserver", "--config=/config", "-logtostderr=true"]
    command += [f"--httpPortFlag=:{port}", f"--rpcPortFlag=:{rpc}"]
    variables = {"MULTIUSER": "true", "DBCONFIG_MYSQLCONFIG_DBNAME": "users"}
    everywhere = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "ml-pipeline"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "ml-pipeline", "namespace": "kubeflow"}],
    }
    server = server_pod("ml-pipeline-users", command, variables)
    installation.cluster.apply(everywhere, server)
    address = f"http://127.0.0.1:{port}"
    until(lambda: is_up(address), 120)
    yield address
    words = ("delete", "--namespace=kubeflow", "--wait=false", "pod", "ml-pipeline-users")
    assert installation.cluster.kubectl(*words).returncode == 0


@pytest.fixture(scope="module")
def tokens(installation: Kubeflow, repository: Path) -> dict[str, str]:
    """A token of an account with the Role of docs/submit.md, and one of an account without it."""
    blocks = re.findall(
        r"```yaml\n(.*?)```", (repository / "docs" / "submit.md").read_text(), re.DOTALL
    )
    [role] = [yaml.safe_load(one) for one in blocks if "skymill-submit" in one]
    role["metadata"]["namespace"] = TEAM
    here = {"name": "skymill-submit", "namespace": TEAM}
    reference = {"apiGroup": _RBAC, "kind": "Role", "name": "skymill-submit"}
    binding = {"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": here}
    subjects = [{"kind": "ServiceAccount", "name": "skymill-submit"}]
    accounts = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**here, "name": name}}
        for name in ("skymill-submit", "stranger")
    ]
    cluster = installation.cluster
    cluster.apply(*accounts, role, {**binding, "roleRef": reference, "subjects": subjects})
    return {
        one["metadata"]["name"]: cluster.token(one["metadata"]["name"], TEAM, _AUDIENCE)
        for one in accounts
    }


class Caller:
    """Commands of Skymill by the holder of a token."""

    def __init__(self, endpoint: str, folder: Path, token: str) -> None:
        self._where = ["--endpoint", endpoint]
        if token:
            (folder / "token").write_text(token)
            self._where += ["--token-file", str(folder / "token")]

    def __call__(self, *words: str, namespace: str = TEAM) -> Result:
        space = ["--namespace", namespace] if namespace else []
        return CliRunner().invoke(cli, [*words, *self._where, *space])


@pytest.fixture
def package(installation: Kubeflow, tmp_path: Path) -> str:
    path = tmp_path / "package.yaml"
    path.write_text(two_steps(installation).text)
    return str(path)


def test_the_documented_role_is_enough(
    endpoint: str, tokens: dict[str, str], package: str, tmp_path: Path
) -> None:
    call = Caller(endpoint, tmp_path, tokens["skymill-submit"])

    def done(*words: str) -> str:
        result = call(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    run_id = json.loads(done("submit", "-p", package, "--key", "one", "--json"))["run_id"]
    again = json.loads(done("submit", "-p", package, "--key", "one", "--json"))["run_id"]
    assert again == run_id
    other = json.loads(done("submit", "-p", package, "--run-name", "one", "--json"))["run_id"]
    same = json.loads(done("submit", "-p", package, "--run-name", "one", "--json"))["run_id"]
    listed = json.loads(done("runs", "list", "--json"))
    assert {one["run_id"] for one in listed} == {same, other, run_id}, "names may be the same"
    assert json.loads(done("runs", "show", run_id, "--json"))["state"] in ("PENDING", "RUNNING")
    for words in (
        ("create", "nightly", "-p", package, "--cron", "0 0 2 * * *"),
        ("create", "nightly", "-p", package, "--cron", "0 0 3 * * *"),
        ("disable", "nightly"),
        ("enable", "nightly"),
    ):
        done("schedule", *words)
    [schedule] = json.loads(done("schedule", "list", "--json"))
    assert (schedule["when"], schedule["enabled"]) == ("0 0 3 * * *", True)
    done("schedule", "delete", "nightly")
    stopped = call("runs", "stop", run_id)
    assert isinstance(stopped.exception, KubeflowError), "terminate is not among the rights"
    assert "403" in str(stopped.exception)
    assert "lacks a permission" in str(stopped.exception)


def test_a_missing_role_token_or_namespace_is_reported(
    endpoint: str, tokens: dict[str, str], package: str, tmp_path: Path
) -> None:
    stranger = Caller(endpoint, tmp_path, tokens["stranger"])
    for words in (("runs", "list"), ("submit", "-p", package), ("schedule", "list")):
        error = stranger(*words).exception
        assert isinstance(error, KubeflowError), words
        assert "lacks a permission: docs/submit.md" in str(error)
    error = Caller(endpoint, tmp_path, "")("runs", "list").exception
    assert isinstance(error, Unauthenticated), error
    own = Caller(endpoint, tmp_path, tokens["skymill-submit"])
    for words in (("runs", "list"), ("submit", "-p", package), ("schedule", "list")):
        error = own(*words, namespace="").exception
        assert isinstance(error, KubeflowError), words
        assert "--namespace" in str(error), words


def test_doctor_knows_that_there_are_several_users(
    endpoint: str, tokens: dict[str, str], tmp_path: Path
) -> None:
    call = Caller(endpoint, tmp_path, tokens["skymill-submit"])
    found = {one["check"]: one for one in json.loads(call("doctor", "--json").stdout)}
    assert "multi-user" in found["version"]["detail"]
    assert found["namespace"]["state"] == "ok"
    found = {one["check"]: one for one in json.loads(call("doctor", "--json", namespace="").stdout)}
    assert (found["namespace"]["state"], found["namespace"]["remedy"]) == (
        "failed",
        "Give --namespace",
    )


def test_an_installation_for_one_user_takes_no_notice_of_a_namespace(
    installation: Kubeflow, tmp_path: Path
) -> None:
    call = Caller(installation.endpoint, tmp_path, "")
    assert call("runs", "list").exit_code == 0
    found = {one["check"]: one for one in json.loads(call("doctor", "--json").stdout)}
    assert found["namespace"]["state"] == "warning"
