"""Each kind of credentials, against a server that checks them."""

import json
from pathlib import Path

import kfp
import pytest
from kfp.client import auth

from components.raster.errors import ConfigError
from pipelines.kubeflow.client import connection as module
from pipelines.kubeflow.client.connection import (
    Bearer,
    Connection,
    DexSession,
    IdentityAwareProxy,
    NoCredentials,
    TokenFile,
    connection_from,
)
from pipelines.kubeflow.client.errors import KubeflowError
from pipelines.kubeflow.client.server import KubeflowServer
from tests.kubeflow.api_server.server import Api, api_server, bearer, dex, iap
from tests.kubeflow.tiny import submission
from tests.loopback import make_certificate, tls_of


@pytest.fixture(autouse=True)
def away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hides the client's files in the home folder of the user who runs the tests."""
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.setattr(auth, "LOCAL_KFP_CREDENTIAL", str(tmp_path / "credentials.json"))
    monkeypatch.setattr(module, "IN_CLUSTER_TOKEN", str(tmp_path / "in-cluster-token"))
    return tmp_path


def submit(connection: Connection) -> str:
    return KubeflowServer(connection).submit(submission())


def test_a_bearer_token(api: Api) -> None:
    api.guard = bearer({"right"})
    assert submit(Connection(api.url, credentials=Bearer("right"))) in api.store.runs
    for credentials in (Bearer("wrong"), NoCredentials()):
        with pytest.raises(
            KubeflowError, match="answered 401: .*credentials are missing or expired"
        ):
            submit(Connection(api.url, credentials=credentials))
    assert len(api.store.runs) == 1


def test_the_clusters_token_is_read_again_when_it_is_renewed(
    api: Api, away_from_home: Path
) -> None:
    path = away_from_home / "in-cluster-token"
    path.write_text("first\n")
    api.guard = bearer({"first"})
    connection = connection_from({"SKYMILL_KFP_ENDPOINT": api.url})
    assert isinstance(connection.credentials, TokenFile)
    server = KubeflowServer(Connection(api.url, credentials=TokenFile(str(path))))
    server.submit(submission())
    api.guard = bearer({"second"})
    path.write_text("second\n")
    server.submit(submission())
    assert api.headers["Authorization"] == "Bearer second"
    assert connection_from({}).endpoint == "http://ml-pipeline.kubeflow.svc.cluster.local:8888"


def test_the_clusters_token_is_for_servers_in_it(away_from_home: Path) -> None:
    (away_from_home / "in-cluster-token").write_text("secret")
    away = connection_from({"SKYMILL_KFP_ENDPOINT": "https://pipelines.example.com"})
    assert isinstance(away.credentials, NoCredentials)
    near = connection_from({"SKYMILL_KFP_ENDPOINT": "http://ml-pipeline.kubeflow.svc:8888"})
    assert isinstance(near.credentials, TokenFile)


def test_a_session_with_dex(api: Api) -> None:
    api.guard = dex({"s3ss10n"})
    good = Connection(api.url, credentials=DexSession("authservice_session=s3ss10n"))
    assert submit(good) in api.store.runs
    stale = Connection(api.url, credentials=DexSession("authservice_session=old"))
    with pytest.raises(KubeflowError, match="web page.* the session or the token is missing or"):
        submit(stale)
    assert len(api.store.runs) == 1


def test_a_session_in_a_file_is_read_again_when_it_is_renewed(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "session"
    path.write_text("authservice_session=first\n")
    connection = connection_from({"SKYMILL_KFP_ENDPOINT": api.url}, cookie_file=str(path))
    server = KubeflowServer(connection)
    api.guard = dex({"first"})
    run_id = server.submit(submission())
    api.guard = dex({"second"})
    with pytest.raises(KubeflowError, match="web page"):
        server.run_state(run_id)
    path.write_text("authservice_session=second\n")
    assert server.run_state(run_id).run_id == run_id


def test_an_address_may_have_a_path_and_that_of_a_page(api: Api) -> None:
    """Behind a gateway the API is below a path; a page's address is what a browser shows."""
    api.prefix = "/kubeflow/pipeline"
    for page in ("", "/", "/#/runs", "/?ns=team#/experiments"):
        connection = connection_from({}, endpoint=f"{api.url}{api.prefix}{page}")
        server = KubeflowServer(connection)
        run_id = server.submit(submission())
        assert server.run_state(run_id).run_id == run_id
        assert run_id in {one.run_id for one in server.newest_runs(10)}
    with pytest.raises(KubeflowError, match="answered 404"):
        submit(connection_from({}, endpoint=api.url))


def test_googles_proxy(api: Api, away_from_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has logged in before; the stored refresh token becomes one for the proxy."""
    monkeypatch.setattr(auth, "OAUTH_TOKEN_URI", f"{api.url}/token")
    stored = {"other_client_id": "desk", "other_client_secret": "s", "refresh_token": "refresh"}
    (away_from_home / "credentials.json").write_text(json.dumps({"proxy": stored}))
    api.id_tokens = {"refresh@proxy": "id-token"}
    api.guard = iap({"id-token"})
    connection = connection_from(
        {"SKYMILL_KFP_ENDPOINT": api.url, "SKYMILL_KFP_IAP_CLIENT_ID": "proxy"}
    )
    assert connection.credentials == IdentityAwareProxy("proxy")
    server = KubeflowServer(connection)
    assert server.submit(submission()) in api.store.runs
    api.id_tokens["refresh@proxy"] = "next"  # an hour later
    api.guard = iap({"next"})
    assert server.submit(submission()) in api.store.runs
    with pytest.raises(
        KubeflowError, match="answered 401: a web page.*credentials are missing or expired"
    ):
        submit(Connection(api.url))


def test_a_login_that_fails_is_reported(api: Api, away_from_home: Path) -> None:
    (away_from_home / "credentials.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot log in at http"):
        submit(Connection(api.url, credentials=IdentityAwareProxy("proxy")))
    with pytest.raises(ConfigError, match=r"nowhere: the session cannot be read"):
        submit(connection_from({}, endpoint=api.url, cookie_file="nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere: the token cannot be read \(No such file"):
        submit(Connection(api.url, credentials=TokenFile("nowhere")))


def test_a_cookie_that_the_client_has_stored_goes_nowhere_unasked(
    api: Api, away_from_home: Path
) -> None:
    stored = {"namespace": "", "client_authentication_cookie": "session=of another server"}
    (away_from_home / "context.json").write_text(json.dumps(stored))
    submit(Connection(api.url))
    assert api.headers["Cookie"] is None
    assert json.loads((away_from_home / "context.json").read_text()) == stored


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "server.pem")


def test_a_certificate_is_checked_by_the_authority_that_is_trusted(certificate: Path) -> None:
    with api_server(tls=tls_of(certificate)) as api:
        environment = {"SKYMILL_KFP_ENDPOINT": api.url, "SKYMILL_KFP_TOKEN": "t"}
        connection = connection_from({**environment, "SKYMILL_KFP_CA": str(certificate)})
        assert submit(connection) in api.store.runs
        with pytest.raises(KubeflowError, match="certificate.*--ca-file") as caught:
            submit(connection_from(environment))
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("variables", "given", "credentials"),
    [
        ({}, {}, NoCredentials()),
        ({"TOKEN": "t"}, {}, Bearer("t")),
        ({"TOKEN_FILE": "a"}, {}, TokenFile("a")),
        ({"COOKIE": "a=b"}, {}, DexSession("a=b")),
        ({"TOKEN": "t"}, {"token_file": "b"}, TokenFile("b")),
        (
            {"IAP_CLIENT_ID": "c", "IAP_OTHER_CLIENT_ID": "d", "IAP_OTHER_CLIENT_SECRET": "e"},
            {},
            IdentityAwareProxy("c", "d", "e"),
        ),
    ],
)
def test_the_environment_tells_who_asks(variables: dict, given: dict, credentials: object) -> None:
    environment = {f"SKYMILL_KFP_{name}": value for name, value in variables.items()}
    connection = connection_from(environment, endpoint="https://kfp.example/", **given)
    assert connection == Connection("https://kfp.example", credentials=credentials)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "no server of Kubeflow Pipelines: give --endpoint"),
        ({"ENDPOINT": "kfp.example"}, "'kfp.example' is not an address"),
        (
            {"ENDPOINT": "https://k", "TOKEN": "t", "COOKIE": "a=b"},
            r"2 credentials are given \(token, cookie\)",
        ),
        ({"ENDPOINT": "http://kfp.example", "TOKEN": "t"}, "in the clear.*--plain-http"),
        ({"ENDPOINT": "https://k", "METADATA": "localhost"}, "address of a metadata store"),
        ({"ENDPOINT": "https://k", "METADATA": "http://k:8080"}, "give HOST:PORT"),
    ],
)
def test_a_connection_that_cannot_be(environment: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        connection_from({f"SKYMILL_KFP_{key}": value for key, value in environment.items()})


def test_a_token_may_go_over_http_where_nobody_listens_or_on_demand() -> None:
    for host in ("127.0.0.1:1", "localhost:1", "[::1]:1", "ml-pipeline.kubeflow.svc:8888"):
        Connection(f"http://{host}", credentials=Bearer("t"))
    Connection("http://kfp.example", credentials=Bearer("t"), plain_http=True)
    Connection("http://kfp.example")


def test_secrets_are_not_shown() -> None:
    for credentials in (
        Bearer("s3cret"),
        DexSession("a=s3cret"),
        IdentityAwareProxy("c", "d", "s3cret"),
    ):
        assert "s3cret" not in repr(Connection("https://k", credentials=credentials))
