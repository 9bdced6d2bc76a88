"""A server of MariaDB or MySQL on loopback, from the programs of this machine."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.backend.processes import free_ports, running, until


def database_program() -> str:
    """The path of MariaDB's server; empty if there is none."""
    folders = "/usr/sbin:/usr/local/sbin:/usr/libexec"
    return shutil.which("mariadbd") or shutil.which("mariadbd", path=folders) or ""


@contextmanager
def database(folder: Path) -> Iterator[int]:
    """Runs a server with an empty store, and tells its port; its user `root` has no password."""
    data = folder / "database"
    data.mkdir()
    own = [f"--datadir={data}", "--user=root"]
    made = ["mariadb-install-db", "--no-defaults", *own, "--skip-test-db"]
    made += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    [port] = free_ports(1)
    command = [database_program(), "--no-defaults", *own, f"--port={port}"]
    command += ["--bind-address=127.0.0.1", "--skip-name-resolve", "--innodb-flush-method=nosync"]
    command += [f"--socket={folder / 'database.sock'}", f"--pid-file={folder / 'database.pid'}"]
    log = folder / "database.log"
    with running(command, log) as process:
        until(lambda: _listens(port), 120, process, log)
        yield port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
