"""Runs Kubeflow Pipelines on loopback until it is interrupted, as `make backend` has built it.

    python -m tests.backend.kubeflow.standing FOLDER

FOLDER, which must be empty, gets data, logs and the file `kubeconfig`. It needs root on Linux.
"""

import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.backend.cluster import control_plane, prepare
from tests.backend.kubeflow.installation import kubeflow
from tests.k8s.conftest import render_folder


def main(folder: Path) -> None:
    """Runs an installation, and tells how it is reached."""
    repository = Path(__file__).resolve().parents[3]
    tools = repository / ".tools" / "backend"
    folder.mkdir(parents=True, exist_ok=True)
    with control_plane(tools, folder) as cluster:
        prepare(cluster, tools)
        cluster.apply(*render_folder(repository / "k8s" / "pipeline").accounts())
        with kubeflow(cluster, tools, tools / "kubeflow", repository, folder) as found:
            found.data.mkdir(parents=True, exist_ok=True)
            words = {"CONTEXT": cluster.context, "IMAGE": found.image, "CLAIM": found.data}
            words |= {"ENDPOINT": found.endpoint, "METADATA": found.metadata}
            given = " ".join(f"{name}={value}" for name, value in words.items())
            print(f"KUBECONFIG={cluster.kubeconfig} make backend {given}", flush=True)
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        main(Path(sys.argv[1]).resolve())
