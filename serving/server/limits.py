"""Limits of one request, checked before memory is allocated for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.client.wire_tensors import decode_tensor, tensor_bytes, tensor_shape
from serving.server.errors import Code, ServingError
from serving.server.in_flight import ReservedBytes
from serving.server.model import Arrays, SignatureSpec


@dataclass(frozen=True)
class TensorLimits:
    """Limits on the tensors of one request, and of its answer.

    Attributes:
        max_rows: most rows of a request.
        max_bytes: most bytes of its tensors, and of the answer's.
        rows_setting: the setting of `max_rows`, for messages.
    """

    max_rows: int
    max_bytes: int
    rows_setting: str = "max_request_rows"

    def read(
        self, protos: Mapping[str, Any], signature: SignatureSpec, held: ReservedBytes
    ) -> Arrays:
        """Decodes TensorProtos to arrays; checks all limits before decoding the first.

        Raises:
            ServingError: INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
            TensorError: a tensor cannot be read.
        """
        signature.check_names(protos.keys())
        shapes = {name: tensor_shape(it) for name, it in protos.items()}
        self._check_rows(signature, shapes)
        size = sum(tensor_bytes(proto, shapes[name]) for name, proto in protos.items())
        self._check_bytes("The request's tensors", size)
        held.reach(size)
        return {name: decode_tensor(proto, shapes[name]) for name, proto in protos.items()}

    def checked(self, inputs: Arrays, signature: SignatureSpec) -> Arrays:
        """Returns the arrays, unless they have too many rows.

        Raises:
            ServingError: INVALID_ARGUMENT.
        """
        self._check_rows(signature, {name: array.shape for name, array in inputs.items()})
        return inputs

    def check_answer(self, outputs: Arrays, parts: float = 1) -> int:
        """Checks the size of an answer, given one of `parts` equal parts, and returns its bytes.

        Raises:
            ServingError: RESOURCE_EXHAUSTED.
        """
        size = int(parts * sum(array.nbytes for array in outputs.values()))
        self._check_bytes("The answer's tensors", size)
        return size

    def _check_rows(self, signature: SignatureSpec, shapes: Mapping[str, Sequence[int]]) -> None:
        for name, shape in shapes.items():
            if shape and signature.inputs[name].has_free_batch_dim and shape[0] > self.max_rows:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"Task size {shape[0]} is larger than maximum input batch size "
                    f"{self.max_rows} (input {name}; {self.rows_setting})",
                )

    def _check_bytes(self, what: str, size: int) -> None:
        if size > self.max_bytes:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"{what} take {size} bytes, more than max_tensor_bytes ({self.max_bytes}): "
                "send fewer rows",
            )
