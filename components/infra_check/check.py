"""Infra gate: a server loads the folder that would be pushed and answers over sockets."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from components.gate.report import Finding, GateReport
from components.infra_check.agreement import disagreement
from components.infra_check.answers import answer_in_process, chunks
from components.infra_check.config import InfraCheckConfig
from components.raster.errors import DataError
from serving.client import ClientError, connect
from serving.contract.names import BYTES_SIGNATURE, EXAMPLES_SIGNATURE
from serving.server.process import (
    ServerProcess,
    ServerProcessError,
    serve_model_in_subprocess,
)
from serving.tasks.base import AnyPrediction

GATE = "infra_check"

_LOG_TAIL_CHARS = 2000

Inputs = Mapping[str, Sequence[bytes]]


def check_model(
    served_dir: Path,
    reference_dir: Path,
    images: Sequence[bytes],
    examples: Sequence[bytes],
    config: InfraCheckConfig,
) -> GateReport:
    """Serves `served_dir` in a subprocess and compares its predictions with `reference_dir`'s.

    Args:
        served_dir: the SavedModel that would be pushed.
        reference_dir: the SavedModel as it was trained; loaded in this process.
        images: encoded images, for `serving_default`.
        examples: the serialized tf.Examples of the same images, for `serving_examples`.
        config: tolerance and time limits.

    Each protocol with each signature gives a finding; so does a model or a server that does not
    start. Nothing is raised for a bad model.
    """
    inputs: Inputs = {BYTES_SIGNATURE: images, EXAMPLES_SIGNATURE: examples}
    facts = {"examples": len(images)}
    if not images:
        return GateReport(GATE, (_no_examples(config),), facts)
    with ThreadPoolExecutor(1) as executor:  # a server takes seconds to start
        reference = executor.submit(_in_process, reference_dir, inputs)
        served = _serve(served_dir, inputs, lambda: reference.result().answers, config)
    return GateReport(GATE, (*reference.result().findings, *served), facts)


class _Reference(NamedTuple):
    """Expected predictions by signature; without them, a finding with the reason."""

    answers: Mapping[str, Sequence[AnyPrediction]]
    findings: tuple[Finding, ...] = ()


def _in_process(reference_dir: Path, inputs: Inputs) -> _Reference:
    try:
        return _Reference(answer_in_process(reference_dir, inputs))
    except DataError as error:
        detail = f"{error}; look at the export and at the training's last checkpoint"
        rule = "the model answers in this process"
        return _Reference({}, (Finding(GATE, rule, False, "model", detail),))


def _no_examples(config: InfraCheckConfig) -> Finding:
    return Finding(
        GATE,
        "examples to send",
        False,
        config.split,
        f"the {config.split} split has no example: give it a share in the split, or name another "
        "in infra_check.split",
    )


def _serve(
    served_dir: Path,
    inputs: Inputs,
    wanted: Callable[[], Mapping[str, Sequence[AnyPrediction]]],
    config: InfraCheckConfig,
) -> list[Finding]:
    """Returns the server's findings; without expected predictions, only that on its start."""
    started = time.monotonic()
    try:
        with serve_model_in_subprocess(served_dir, timeout_s=config.load_timeout_s) as server:
            spent_s = time.monotonic() - started
            up = Finding(GATE, "a server loads it", True, "server", f"up in {spent_s:.1f} s")
            return [up, *_ask(server, inputs, wanted(), config)]
    except ServerProcessError as error:
        detail = f"{error}\nTry it by hand with `skymill serve`, or give infra_check.load_timeout_s"
        return [Finding(GATE, "a server loads it", False, "server", detail)]


def _ask(
    server: ServerProcess,
    inputs: Inputs,
    wanted: Mapping[str, Sequence[AnyPrediction]],
    config: InfraCheckConfig,
) -> Iterator[Finding]:
    for protocol, address in (("gRPC", server.grpc), ("REST", server.rest)):
        for signature, answers in wanted.items():
            rule = f"{protocol} answers as the model does"
            started = time.monotonic()
            wrong = _wrong(server, address, signature, inputs[signature], answers, config)
            spent_ms = 1000 * (time.monotonic() - started)
            detail = f"{len(answers)} images in {spent_ms:.0f} ms"
            if wrong:
                detail = f"{wrong}. The end of the server's log:\n{_log_tail(server)}"
            yield Finding(GATE, rule, not wrong, signature, detail)


def _wrong(
    server: ServerProcess,
    address: str,
    signature: str,
    items: Sequence[bytes],
    wanted: Sequence[AnyPrediction],
    config: InfraCheckConfig,
) -> str:
    """Describes the errors of one signature over one protocol; empty if there are none."""
    timeout_s = config.request_timeout_s
    try:
        with connect(address, model=server.model_name, timeout_s=timeout_s, retries=0) as client:
            given = [
                prediction
                for chunk in chunks(items)
                for prediction in client.predict(chunk, signature=signature)
            ]
    except ClientError as error:
        return str(error)
    return disagreement(wanted, given, config.tolerance)


def _log_tail(server: ServerProcess) -> str:
    return server.log_path.read_text(errors="replace")[-_LOG_TAIL_CHARS:]
