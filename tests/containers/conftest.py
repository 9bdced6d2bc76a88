"""A Docker engine, and the images of docker/ built by it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.images import Image

from tests.containers.engine import HOST_VARIABLE, Engine, build, connected, missing, started
from tests.containers.stand_in import debian_mirror, make_base
from tests.containers.test_dockerfiles import arguments, gpu_arguments

VERSION = "0.1.0"


@pytest.fixture(scope="session")
def engine(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has the base images: real ones if it was there, else stand-ins."""
    given = os.environ.get(HOST_VARIABLE)
    if given:
        with connected(given) as there:
            yield there
        return
    reason, mirror = missing(), debian_mirror()
    if reason or mirror is None:
        pytest.skip(reason or "apt has no archive of Debian's to make a base image from")
    with started() as made:
        base = arguments(repository / "docker" / "Dockerfile")["BASE"]
        make_base(made.client, base, mirror, tmp_path_factory.mktemp("base"))
        for name in (
            arguments(repository / "docker/serving/Dockerfile")["BASE"],
            gpu_arguments(repository)["BASE"],
        ):
            made.client.images.get(base).tag(name)
        yield made


@pytest.fixture(scope="session")
def pipeline_image(engine: Engine, repository: Path) -> Image:
    return build(
        engine.client, repository, "docker/Dockerfile", f"skymill-pipeline:{VERSION}", "pipeline"
    )


@pytest.fixture(scope="session")
def gpu_image(engine: Engine, repository: Path) -> Image:
    """With the base and the lock that docs/containers.md names; a stand-in has no CUDA."""
    tag, given = f"skymill-gpu:{VERSION}", gpu_arguments(repository)
    return build(engine.client, repository, "docker/Dockerfile", tag, "pipeline", given)


@pytest.fixture(scope="session")
def beam_image(
    engine: Engine,
    repository: Path,
    pipeline_image: Image,
) -> Image:
    """Made of the pipeline's layers."""
    return build(
        engine.client, repository, "docker/Dockerfile", f"skymill-beam:{VERSION}", "beam-worker"
    )


@pytest.fixture(scope="session")
def serving_image(engine: Engine, repository: Path) -> Image:
    folder = repository / "docker" / "serving"
    return build(engine.client, folder, "Dockerfile", f"skymill-serving:{VERSION}")
