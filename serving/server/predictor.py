"""Predict and the model's status and metadata, whichever protocol asks."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from serving.client.wire_tensors import TensorError
from serving.contract.graph_errors import plain_message
from serving.server.errors import Code, ServingError
from serving.server.in_flight import Held
from serving.server.limits import TensorLimits
from serving.server.manager import ModelManager, VersionStatus
from serving.server.model import DEFAULT_SIGNATURE, Arrays, LoadedModel, Signature

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """The model that a request names."""

    name: str
    version: int | None = None
    label: str = ""


@dataclass(frozen=True)
class Answer:
    """A signature's outputs and the version that gave them."""

    version: int
    signature: str
    outputs: Arrays


class Predictor:
    """The operations behind both APIs."""

    def __init__(self, manager: ModelManager, limits: TensorLimits) -> None:
        self._manager = manager
        self._limits = limits

    async def predict(
        self,
        target: Target,
        signature_name: str,
        read_inputs: Callable[[Signature, TensorLimits], Arrays],
        held: Held,
        output_filter: Sequence[str] = (),
        *,
        missing_signature: Callable[[str], ServingError],
    ) -> Answer:
        """Run one request.

        Args:
            target: the model and version.
            signature_name: empty for the default one.
            read_inputs: turns the request's tensors into arrays of the signature's names.
            held: what the request holds, and its answer from here on.
            output_filter: the outputs to answer with; empty for all.
            missing_signature: the error for an unknown signature, which the protocols word and
                number differently.

        Raises:
            ServingError: with TensorFlow Serving's status code.
        """
        name = signature_name or DEFAULT_SIGNATURE
        with self._manager.use(target.name, target.version, target.label) as served:
            signature = served.model.signatures.get(name)
            if signature is None:
                raise missing_signature(name)
            try:
                inputs = read_inputs(signature, self._limits)
                wanted = _wanted_outputs(signature, output_filter)
                self._limits.check(inputs, signature)
                signature.check(inputs)
            except TensorError as error:
                raise ServingError(Code.INVALID_ARGUMENT, str(error)) from error
            outputs = await served.batcher.submit(signature, inputs)
            held.reach(self._limits.check_answer(outputs))
            return Answer(served.model.version, name, {key: outputs[key] for key in wanted})

    def model(self, target: Target) -> LoadedModel:
        """The loaded version that answers for the target."""
        with self._manager.use(target.name, target.version, target.label) as served:
            return served.model

    def status(self, target: Target, served_name: str) -> Sequence[VersionStatus]:
        """The versions' states; like TensorFlow Serving it does not look at a label.

        Raises:
            ServingError: NOT_FOUND for another model or an unknown version.
        """
        statuses = self._manager.statuses if target.name == served_name else ()
        if target.version is not None:
            statuses = tuple(s for s in statuses if s.version == target.version)
            if not statuses:
                raise ServingError(
                    Code.NOT_FOUND,
                    f"Could not find version {target.version} of model {target.name}",
                )
        if not statuses:
            raise ServingError(
                Code.NOT_FOUND, f"Could not find any versions of model {target.name}"
            )
        return statuses


def _wanted_outputs(signature: Signature, output_filter: Sequence[str]) -> Iterable[str]:
    if not output_filter:
        return signature.outputs
    for alias in output_filter:
        if alias not in signature.outputs:
            known = ",".join(sorted(signature.outputs))
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{known}}}.",
            )
    if len(set(output_filter)) < len(output_filter):
        raise ServingError(Code.INVALID_ARGUMENT, "duplicate output tensor alias")
    return output_filter


def as_serving_error(error: Exception) -> ServingError:
    """What a client is told of any failure; an unforeseen one is logged with its trace."""
    if isinstance(error, ServingError):
        return error
    logger.error("a request failed", exc_info=error)
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {plain_message(str(error))}")
