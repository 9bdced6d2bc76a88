"""Interface between the client and a server, independent of the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from components.raster.errors import PortableError
from serving.client.wire_tensors import Array
from serving.contract.numbering import LARGEST_VERSION


class RequestFailed(PortableError):
    """A request with an error response or none.

    `code` is the name of the canonical status ("UNAVAILABLE", "INVALID_ARGUMENT", ...).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class ModelRef:
    """A model by name, optionally with a version or a label."""

    name: str
    model_version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.model_version is not None and self.label:
            raise ValueError("give a model version or a label, not both")
        if self.model_version is not None and not 0 <= self.model_version <= LARGEST_VERSION:
            raise ValueError(f"{self.model_version} is not a version: 0 to {LARGEST_VERSION}")


@dataclass(frozen=True)
class RawAnswer:
    """Outputs by name, and the version that computed them, if the server reports it."""

    outputs: Mapping[str, Array]
    model_version: int | None


@dataclass(frozen=True)
class VersionStatus:
    """State of one version: "AVAILABLE", or "END" with an error if it could not be loaded."""

    model_version: int
    state: str
    error_code: str
    error_message: str


@dataclass(frozen=True)
class TensorInfo:
    """Type ("string", "float", ...) and shape of an input or output.

    A dimension of None is unknown; a shape of None has unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class SignatureInfo:
    """Inputs and outputs of a signature, by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True)
class ModelMetadata:
    """Signatures of one version."""

    model_version: int
    signatures: Mapping[str, SignatureInfo]


class Transport(Protocol):
    """Connection to one server; thread-safe.

    Every method raises RequestFailed.
    """

    def predict(
        self,
        model: ModelRef,
        signature: str,
        inputs: Mapping[str, Array],
        output_filter: Sequence[str],
        timeout_s: float,
    ) -> RawAnswer:
        """Runs a signature."""

    def status(self, model: ModelRef, timeout_s: float) -> tuple[VersionStatus, ...]:
        """Returns the states of the model's versions."""

    def metadata(self, model: ModelRef, timeout_s: float) -> ModelMetadata:
        """Returns the signatures of a version."""

    def close(self) -> None:
        """Closes the connections."""


# Names of the numbers in error_codes.proto and get_model_status.proto.
CODE_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
STATE_NAMES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
