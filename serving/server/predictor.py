"""Predict, model status and metadata, independent of the protocol."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from components.raster.graph_errors import plain_message
from serving.client.wire_tensors import TensorError
from serving.server.errors import Code, ServingError
from serving.server.in_flight import ReservedBytes
from serving.server.limits import TensorLimits
from serving.server.manager import ModelManager, VersionStatus
from serving.server.model import DEFAULT_SIGNATURE, Arrays, LoadedModel, SignatureSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RequestedModel:
    """The model named by a request."""

    name: str
    version: int | None = None
    label: str = ""


@dataclass(frozen=True)
class SignatureResult:
    """Outputs of a signature, and the version that computed them."""

    version: int
    signature: str
    outputs: Arrays


class Predictor:
    """Operations behind both APIs."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    async def predict(
        self,
        target: RequestedModel,
        signature_name: str,
        read_inputs: Callable[[SignatureSpec, TensorLimits], Arrays],
        held: ReservedBytes,
        output_filter: Sequence[str] = (),
        *,
        missing_signature: Callable[[str], ServingError],
    ) -> SignatureResult:
        """Runs one request.

        Args:
            target: the model and version.
            signature_name: empty for the default one.
            read_inputs: converts the request's tensors to arrays by the signature's input names.
            held: bytes of the request; from here on also of its answer.
            output_filter: the outputs to return; empty for all.
            missing_signature: makes the error for an unknown signature, whose code and text depend
                on the protocol.

        Raises:
            ServingError: with TensorFlow Serving's status code.
        """
        name = signature_name or DEFAULT_SIGNATURE
        with self._manager.use(target.name, target.version, target.label) as served:
            signature = served.model.signatures.get(name)
            if signature is None:
                raise missing_signature(name)
            lane = served.lanes.of(name)
            try:
                inputs = read_inputs(signature, lane.limits)
                wanted = _wanted_outputs(signature, output_filter)
                signature.check(inputs)
            except TensorError as error:
                raise ServingError(Code.INVALID_ARGUMENT, str(error)) from error
            outputs = await lane.batcher.submit(signature, inputs)
            held.reach(lane.limits.check_answer(outputs))
            result = {key: outputs[key] for key in wanted}
            return SignatureResult(served.model.version, name, result)

    def model(self, target: RequestedModel) -> LoadedModel:
        """Returns the loaded version for the target."""
        with self._manager.use(target.name, target.version, target.label) as served:
            return served.model

    def status(self, target: RequestedModel, served_name: str) -> Sequence[VersionStatus]:
        """Returns the versions' states; ignores a label, like TensorFlow Serving.

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


def _wanted_outputs(signature: SignatureSpec, output_filter: Sequence[str]) -> Iterable[str]:
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
    """Converts any failure to the client's error; logs an unexpected one with its traceback."""
    if isinstance(error, ServingError):
        return error
    logger.error("a request failed", exc_info=error)
    return ServingError(Code.INTERNAL, f"{type(error).__name__}: {plain_message(str(error))}")
