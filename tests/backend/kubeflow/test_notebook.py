"""The notebook of this repository against Kubeflow Pipelines itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from tests.backend.kubeflow.calls import VOLUME, run_ids
from tests.backend.kubeflow.installation import Kubeflow
from tests.backend.kubeflow.known import workflow
from tests.kubeflow.land_cover import tree

pytestmark = pytest.mark.backend

# In file systems of its own, where the volume of the pods is at its path in them.
_MOUNTED = """
mount -t tmpfs none /mnt && mkdir "$2" && mount --bind "$1" "$2" && shift 2 && exec "$@"
"""


def test_the_notebook_submits_and_follows_a_run(
    installation: Kubeflow, repository: Path, tmp_path: Path
) -> None:
    if os.getuid() or not shutil.which("unshare"):
        pytest.skip("needs root on Linux, to have the volume at its path in the pods")
    (tmp_path / "skymill.yaml").write_text(yaml.safe_dump(tree(VOLUME, image=installation.image)))
    path = tmp_path / "kubeflow.ipynb"
    path.write_text((repository / "notebooks" / "kubeflow.ipynb").read_text())
    known = run_ids(installation)
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "SKYMILL_KFP_ENDPOINT": installation.endpoint,
        "SKYMILL_KFP_METADATA": installation.metadata,
    }
    command = ["unshare", "--mount", "sh", "-c", _MOUNTED, "mounted"]
    command += [str(installation.data), str(VOLUME)]
    command += [sys.executable, "-m", "jupyter", "execute", "--inplace", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [run_id] = [one for one in run_ids(installation) if one not in known]
    assert workflow(installation, run_id)["status"]["phase"] == "Succeeded"
    cells = nbformat.read(path, as_version=4).cells
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown), "a picture of the data"
    assert "succeeded trainer" in "".join(output.get("text", "") for output in shown)
    assert "'accuracy'" in shown[-1]["data"]["text/plain"]
