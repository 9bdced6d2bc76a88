"""A lock file in a folder where others may write too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.raster.only_process import LockHeld, only_process

_HOLD = """
import sys, time
from pathlib import Path
from components.raster.only_process import only_process
with only_process(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_no_lock(tmp_path):
    path = tmp_path / "new" / "lock"
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld), only_process(path):
            pass
        process.send_signal(signal.SIGKILL)
    assert path.exists()
    with only_process(path):
        pass
    assert not path.exists()


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_place_of_the_file_leads_nowhere(tmp_path, exists):
    target, path = tmp_path / "target", tmp_path / "lock"
    if exists:
        target.write_text("someone's own")
    path.symlink_to(target)
    with pytest.raises(OSError, match="lock"), only_process(path):
        pass
    assert os.path.lexists(path)
    assert target.exists() == exists
    assert not exists or target.read_text() == "someone's own"


def test_a_place_where_no_file_can_be_made_is_an_error(tmp_path, monkeypatch):
    """The system reports a missing folder and one that another process is removing alike."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError, match="new"), only_process(Path("new/lock")):
        pass
