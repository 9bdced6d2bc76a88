"""The Dockerfiles agree with docs/containers.md, and the images' locks with the main lock."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.kubeflow.compile.images import is_fixed

DOCKERFILES = ("docker/Dockerfile", "docker/serving/Dockerfile")
LABELS = ("title", "description", "licenses", "version", "revision", "created", "source")
# Dataflow starts nothing but an entry point.
WITH_ENTRYPOINT = "dataflow"


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, in the stage of that name."""

    stage: str
    word: str
    rest: str


def instructions(path: Path) -> list[Instruction]:
    """A Dockerfile's instructions; a stage without a name is ''."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    found, stage = list[Instruction](), ""
    for text in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not text.strip():
            continue
        word, rest = text.split(maxsplit=1)
        if word == "FROM":
            stage = rest.partition(" AS ")[2]
        found.append(Instruction(stage, word, rest.strip()))
    return found


def arguments(path: Path) -> dict[str, str]:
    """The build arguments that have a default."""
    given = [one.rest for one in instructions(path) if one.word == "ARG" and "=" in one.rest]
    return dict(text.split("=", 1) for text in given)


def gpu_arguments(repository: Path) -> dict[str, str]:
    """The build arguments by which docs/containers.md makes the GPU image."""
    text = (repository / "docs" / "containers.md").read_text()
    [block] = re.findall(r"((?:    .*\n)*    .*image-gpu\.txt.*\n)", text)
    return dict(re.findall(r"--build-arg (\w+)=(\S+)", block))


def locked(path: Path) -> dict[str, set[str]]:
    """Returns the versions that a lock installs on Linux, by package."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)([^\\]*)", line)
        if match and "'never'" not in match[3]:
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


@pytest.fixture(params=DOCKERFILES)
def dockerfile(request: pytest.FixtureRequest, repository: Path) -> Path:
    return repository / request.param


@pytest.fixture
def pipeline(repository: Path) -> Path:
    return repository / "docker" / "Dockerfile"


def test_all_dockerfiles_are_tested(repository: Path) -> None:
    found = sorted(repository.glob("docker/**/*ockerfile*"))
    assert [str(path.relative_to(repository)) for path in found] == list(DOCKERFILES)
    assert not list(repository.glob("docker/**/__init__.py")), "it would hide the SDK"


def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--no-color", dockerfile], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_frontend_is_pulled(dockerfile: Path) -> None:
    assert not re.search(r"(?m)^#\s*(syntax|check|escape)\s*=", dockerfile.read_text())


def test_bases_are_pinned_and_take_a_digest(dockerfile: Path) -> None:
    stages = {one.stage for one in instructions(dockerfile)}
    for one in instructions(dockerfile):
        if one.word == "FROM":
            image = one.rest.split()[0]
            if image not in stages and image != "${BASE}${BASE_DIGEST}":
                assert is_fixed(image), one.rest
    given = arguments(dockerfile)
    assert is_fixed(given["BASE"])
    assert given["BASE_DIGEST"] == ""


def test_users_are_numbers_and_not_root(dockerfile: Path) -> None:
    users = [one.rest for one in instructions(dockerfile) if one.word == "USER"]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)


def test_there_are_commands_and_no_entry_points(dockerfile: Path) -> None:
    entries = [one for one in instructions(dockerfile) if one.word == "ENTRYPOINT"]
    assert [one.rest for one in entries if one.stage != WITH_ENTRYPOINT] == ["[]"]
    commands = [one for one in instructions(dockerfile) if one.word == "CMD"]
    assert commands
    assert all(json.loads(one.rest) for one in commands)


def test_labels_name_what_an_inventory_asks_for(dockerfile: Path) -> None:
    labels = "".join(one.rest for one in instructions(dockerfile) if one.word == "LABEL")
    for name in (*LABELS, "base.name", "base.digest"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_versions_are_those_of_the_repository(dockerfile: Path, repository: Path) -> None:
    version = re.search(r'(?m)^VERSION = "(.+)"', (repository / "setup.py").read_text())
    assert version
    assert arguments(dockerfile)["VERSION"] == version[1]


def test_dataflow_has_the_starter_of_the_locked_beam(pipeline: Path, repository: Path) -> None:
    [beam] = locked(repository / "requirements" / "lock.txt")["apache-beam"]
    froms = [one.rest for one in instructions(pipeline) if one.word == "FROM"]
    assert [image for image in froms if image.endswith(" AS beam-sdk")] == [
        f"apache/beam_python3.13_sdk:{beam} AS beam-sdk"
    ]


def test_the_worker_pool_is_started_as_the_manifest_does(pipeline: Path, repository: Path) -> None:
    [command] = [
        json.loads(one.rest)
        for one in instructions(pipeline)
        if (one.stage, one.word) == ("beam-worker", "CMD")
    ]
    flink = next(yaml.safe_load_all((repository / "k8s/beam-flink/flink.yaml").read_text()))
    task_manager = flink["spec"]["taskManager"]["podTemplate"]["spec"]
    assert task_manager["containers"][0]["command"] == command


def test_the_server_is_started_as_compose_does(repository: Path) -> None:
    folder = repository / "docker" / "serving"
    [command] = [
        json.loads(one.rest) for one in instructions(folder / "Dockerfile") if one.word == "CMD"
    ]
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["serving"]
    defaults = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", flag) for flag in service["command"]]
    assert command == [*service["entrypoint"], *defaults]
    assert arguments(folder / "Dockerfile")["BASE"] == service["image"]
    [copied] = [one.rest for one in instructions(folder / "Dockerfile") if one.word == "COPY"]
    *files, target = copied.split()
    assert sorted(files) == sorted(path.name for path in folder.glob("*.config"))
    for flag in ("model_config_file", "monitoring_config_file"):
        [path] = [word.split("=", 1)[1] for word in command if word.startswith(f"--{flag}=")]
        assert (target, path.removeprefix(target) in files) == ("/config/", True)


def test_the_base_of_the_gpu_image_has_the_cuda_that_the_locked_tensorflow_needs(
    repository: Path,
) -> None:
    """CUDA is compatible within a major version: the base's is not older than TensorFlow's."""
    spec = find_spec("tensorflow")
    assert spec
    assert spec.origin
    result: dict[str, Any] = {}
    exec((Path(spec.origin).parent / "python/platform/build_info.py").read_text(), result)
    built = result["build_info"]
    found = re.fullmatch(
        r"nvidia/cuda:(\d+)\.(\d+)\.\d+-cudnn-runtime-ubuntu24\.04",
        gpu_arguments(repository)["BASE"],
    )
    assert found
    major, minor, *_ = (int(part) for part in built["cuda_version"].split("."))
    assert (int(found[1]), int(found[2])) >= (major, minor)
    assert int(found[1]) == major


@pytest.mark.parametrize("name", ["image.txt", "image-gpu.txt"])
def test_locks_of_images_hold_what_runs_in_the_versions_that_are_tested(
    repository: Path, name: str
) -> None:
    requirements = repository / "requirements"
    tested, image = locked(requirements / "lock.txt"), locked(requirements / name)
    tested["tensorflow-cpu"] = tested["tensorflow"]
    assert {name: found for name, found in image.items() if found != tested.get(name)} == {}, (
        "run `make lock`"
    )
    tensorflow = {"tensorflow-cpu"} if name == "image.txt" else {"tensorflow"}
    assert tensorflow == image.keys() & {"tensorflow", "tensorflow-cpu"}
    wanted = {canonicalize_name(Requirement(text).name) for text in pipeline_requirements()}
    assert wanted - image.keys() <= {"tensorflow"}, "run `make lock`"
    assert not image.keys() & {"pytest", "ruff", "mypy", "pip", "uv", "libclang"}


def pipeline_requirements() -> list[str]:
    """Returns the requirements of setup.py for running the pipeline."""
    from importlib.metadata import requires

    return [
        text.partition(";")[0]
        for text in requires("skymill") or []
        if "extra" not in text or re.search(r"extra == ['\"]pipeline['\"]", text)
    ]
