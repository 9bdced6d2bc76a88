"""Short interface for notebooks: connect, submit, follow."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.kubeflow.client.connection import connection_from
from pipelines.kubeflow.client.follow import OnChange, follow
from pipelines.kubeflow.client.run_state import RunState
from pipelines.kubeflow.client.submission import Submission, Value

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from pipelines.kubeflow.client.server import KubeflowServer


class Run:
    """A run that was started.

    Attributes:
        run_id: the server's id of the run.

    >>> run = connect(endpoint).submit(package)
    >>> state = run.state()
    >>> state.run_id == run.run_id, state.ended
    (True, False)
    """

    def __init__(self, server: "KubeflowServer", run_id: str) -> None:
        self._server = server
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"Run({self.run_id!r})"

    def state(self) -> RunState:
        """Returns the current state of the run."""
        return self._server.run_state(self.run_id)

    def follow(self, changed: OnChange | None = None, **given: Any) -> RunState:
        """Waits for the end; prints steps unless `changed` is given. See `follow.follow`."""
        if changed is None:
            given = {"waits": _print_waiting, **given}
        return follow(self._server, self.run_id, changed or _print_step, **given)

    def metrics(self) -> dict[str, float]:
        """Returns the run's metrics.

        Raises:
            ConfigError: the server keeps them in a metadata store whose address is not known.
        """
        from pipelines.kubeflow.client.lineage import no_address

        found = self._server.metrics(self.run_id)
        if found is None:
            raise no_address(self._server.api.connection.metadata)
        return found


class Session:
    """A server, with the actions that notebooks need.

    Attributes:
        server: the server, for everything else.

    >>> run = connect(endpoint).submit(package)  # http://host:port, and a compiled package
    >>> run.state().state
    'PENDING'
    """

    def __init__(self, server: "KubeflowServer") -> None:
        self.server = server

    def submit(
        self,
        source: "str | PipelineConfig | Submission",
        parameters: Mapping[str, Value] | None = None,
        **given: Any,
    ) -> Run:
        """Starts a run of a configuration or a package; see `KubeflowServer.submit`."""
        from pipelines.kubeflow.client.sources import submission_of

        return Run(self.server, self.server.submit(submission_of(source), parameters, **given))


def connect(endpoint: str | None = None, **given: Any) -> Session:
    """Returns a session with the server at an address, by default the environment's.

    Args:
        endpoint: http:// or https://.
        given: as for `connection_from`.

    >>> connect("127.0.0.1:8888")
    Traceback (most recent call last):
        ...
    components.raster.errors.ConfigError: '127.0.0.1:8888' is not an address of a server: ...
    """
    from pipelines.kubeflow.client.server import KubeflowServer

    return Session(KubeflowServer(connection_from(os.environ, endpoint=endpoint, **given)))


def _print_step(step: str, state: str) -> None:
    print(f"{state.lower():>10} {step}", flush=True)


def _print_waiting(step: str, reason: str) -> None:
    print(f"{'waiting':>10} {step}: {reason}", flush=True)
