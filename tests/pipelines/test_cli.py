"""The command line as a user calls it, at times in a process that has the libraries imported."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from pipelines.cli.main import cli
from pipelines.cli.options import LocalPath


@pytest.fixture(scope="module")
def begun(tmp_path_factory, light_skymill):
    """A folder of images with the configuration that `init` writes beside it."""
    folder = tmp_path_factory.mktemp("begun")
    for name in ("flat", "gabled"):
        (folder / "roofs" / name).mkdir(parents=True)
        for number in range(6):
            image = Image.fromarray(np.full((64, 64, 3), number * 9, np.uint8))
            image.save(folder / "roofs" / name / f"{number}.png")
    assert light_skymill("init", "roofs", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def project(begun, tmp_path):
    """A copy of `begun` that a test may change."""
    return shutil.copytree(begun, tmp_path, dirs_exist_ok=True)


def test_help_names_every_command_and_loads_no_framework():
    program = (
        "import atexit, sys; sys.argv = ['skymill', '--help']\n"
        "from pipelines.cli import main\n"
        "heavy = 'tensorflow', 'tfx', 'keras', 'pydantic', 'numpy'\n"
        "atexit.register(lambda: print(sorted(m for m in heavy if m in sys.modules)))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    names = "init look splits run runs schema compile serve predict config demo"
    for name in names.split():
        assert f"\n  {name} " in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "command",
    ["init", "look", "splits", "run", "runs", "schema", "compile", "serve", "predict", "demo"],
)
def test_every_command_explains_itself(command, light_skymill):
    done = light_skymill(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def options(command: click.Command, path: str = "skymill") -> Iterator[tuple[str, click.Option]]:
    """The options of a command and of those below it."""
    yield from ((path, it) for it in command.params if isinstance(it, click.Option))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below, f"{path} {name}")


def test_every_option_has_a_help_text():
    assert [f"{path} {it.opts[0]}" for path, it in options(cli) if not it.help] == []


def test_help_is_quick(skymill):
    """Returns the fastest of three: the others measure the machine, not the program."""
    times = []
    for _ in range(3):
        began = time.monotonic()
        skymill("--help")
        times.append(time.monotonic() - began)
    assert min(times) < 2  # the promise is half a second; a busy machine may take longer


def test_a_wrong_command_is_reported_and_exits_with_2(light_skymill):
    done = light_skymill("rnu")
    assert done.returncode == 2
    assert "No such command 'rnu'" in done.stderr


def test_init_writes_a_configuration_that_is_accepted(project, light_skymill):
    done = light_skymill("config", "check", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "model 'roofs'" in done.stdout


def test_a_file_uri_is_a_path_for_every_command(project, light_skymill):
    output = project / "by uri.yaml"
    made = light_skymill("init", (project / "roofs").as_uri(), "-o", output.as_uri(), cwd=project)
    assert (made.returncode, made.stderr) == (0, "")
    checked = light_skymill("config", "check", output.as_uri(), cwd=project)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert LocalPath(path_type=Path).convert("file:///a%20b.png", None, None) == Path("/a b.png")
    assert LocalPath().convert("s3://bucket/models", None, None) == "s3://bucket/models"


def test_init_of_photographs_loads_no_arrow(project):
    program = (
        "import atexit, sys; sys.argv = ['skymill', 'init', 'roofs', '--force']\n"
        "from pipelines.cli import main\n"
        "heavy = 'tensorflow', 'tfx', 'keras', 'pyarrow', 'pandas'\n"
        "atexit.register(lambda: print(sorted(m for m in heavy if m in sys.modules)))\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, capture_output=True, text=True
    )
    assert done.stdout.endswith("[]\n"), done.stderr


def test_init_does_not_write_over_a_configuration(project, light_skymill):
    done = light_skymill("init", "roofs", cwd=project)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert light_skymill("init", "roofs", "--force", cwd=project).returncode == 0


def test_a_broken_configuration_exits_with_2_and_no_traceback(project, light_skymill):
    path = project / "skymill.yaml"
    path.write_text(path.read_text().replace("epochs:", "epoch:"))
    done = light_skymill("run", cwd=project)
    assert done.returncode == 2
    assert "Did you mean 'epochs'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_says_when_there_are_none(project, light_skymill):
    assert "No runs yet" in light_skymill("runs", cwd=project).stdout
    assert json.loads(light_skymill("runs", "--json", cwd=project).stdout) == []


def test_serving_before_anything_was_pushed_says_what_to_do(project, light_skymill):
    done = light_skymill("serve", cwd=project)
    assert done.returncode == 2
    assert "skymill run" in done.stderr


def test_accepting_a_schema_before_any_run_says_what_to_do(project, light_skymill):
    done = light_skymill("schema", "accept", cwd=project)
    assert done.returncode == 1
    assert "skymill run" in done.stderr


def test_predicting_without_a_server_names_the_address(project, light_skymill):
    done = light_skymill(
        "predict", "roofs", "--server", "grpc://127.0.0.1:9", "--model", "m", cwd=project
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
