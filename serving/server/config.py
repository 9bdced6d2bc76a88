"""Configuration of the embedded server."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from serving.contract.numbering import LARGEST_VERSION

Port = Annotated[int, Field(ge=0, le=65535)]
VersionNumber = Annotated[int, Field(ge=0, le=LARGEST_VERSION)]

#: Calls at once on a gRPC connection; beyond it, a client waits until one of its own ends.
STREAMS_PER_CONNECTION = 256


class ServerConfig(Frozen):
    """One model, loaded from its version folder and served over gRPC and REST."""

    model_base: Path = Field(description="folder with the numbered version folders")
    model_name: str = Field(
        "model", pattern=r"^[^/:\s]+$", description="name of the model in requests"
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    grpc_port: Port = Field(8500, description="port of gRPC; 0: any free port")
    rest_port: Port = Field(8501, description="port of REST; 0: any free port")
    grpc_library: Literal["grpcio", "ngh2"] = Field(
        "grpcio",
        description="library of gRPC's HTTP/2; ngh2 takes two thirds of the processor time for a "
        "request, is younger, and needs the extra `http2`",
    )
    max_request_bytes: int = Field(
        64 << 20, ge=1024, description="largest request, as sent and decompressed"
    )
    max_request_rows: int = Field(
        4096, ge=1, description="largest number of rows (images) in a request"
    )
    max_tensor_bytes: int = Field(
        256 << 20, ge=1024, description="largest size of the tensors of a request, and of an answer"
    )
    max_bytes_in_flight: int = Field(
        512 << 20,
        ge=2048,
        description="largest size of all requests and answers that a process holds",
    )
    max_json_values: int = Field(
        4 << 20, ge=1, description="largest number of values in the JSON of a REST request"
    )
    max_json_depth: int = Field(
        32, ge=3, description="largest depth of nested lists and objects in JSON"
    )
    max_message_fields: int = Field(
        1 << 17,
        ge=1,
        description="largest number of fields in a gRPC message, at any depth; packed values do"
        " not count",
    )
    max_connections: int = Field(
        1024,
        ge=1,
        description="largest number of connections of each protocol; an idle REST connection is"
        " closed for a new one",
    )
    header_timeout_s: float = Field(10.0, gt=0, description="time for the head of a REST request")
    transfer_timeout_s: float = Field(
        60.0, gt=0, description="time for receiving a request, and for sending its answer"
    )
    idle_timeout_s: float = Field(
        75.0, gt=0, description="time that a connection without a request stays open"
    )
    request_timeout_s: float = Field(30.0, gt=0, description="time that a request may wait")

    poll_interval_s: float = Field(
        1.0, gt=0, description="interval between two listings of the version folder"
    )
    latest_versions: int = Field(1, ge=1, description="number of newest versions that are served")
    labels: dict[str, VersionNumber | Literal["latest"]] = Field(
        default_factory=dict,
        description="names of versions; a labelled version stays loaded beside the newest",
    )
    slow_load_s: float = Field(
        60.0, gt=0, description="time after which a loading version no longer delays the others"
    )
    retry_failed_s: float = Field(
        60.0, gt=0, description="time after which a failed version is loaded again"
    )

    max_batch_size: int = Field(
        64, ge=1, description="largest number of rows in one call of the model"
    )
    max_queued_rows: int = Field(
        1024, ge=1, description="largest number of waiting rows; further requests are UNAVAILABLE"
    )
    max_explain_rows: int = Field(
        16, ge=1, description="largest number of rows (images) in a request for explanations"
    )
    explain_batch_size: int = Field(
        4, ge=1, description="largest number of rows in one call of the model for explanations"
    )
    max_queued_explanations: int = Field(
        64,
        ge=1,
        description="largest number of rows that wait for explanations, in addition to "
        "max_queued_rows",
    )
    batch_workers: int = Field(1, ge=1, description="batches in the model at the same time")
    intra_op_threads: int = Field(
        0, ge=0, description="threads within an operation; 0: TensorFlow decides"
    )
    inter_op_threads: int = Field(
        0, ge=0, description="operations at the same time; 0: TensorFlow decides"
    )

    processes: int = Field(
        1, ge=1, le=64, description="processes that share the ports; each holds the model"
    )
    supervisor_pid: int | None = Field(
        None, description="internal: process that shares the ports; when it ends, so does this one"
    )

    listen_from: Literal["start", "first_look", "first_answer"] = Field(
        "start",
        description="internal: accept connections at the start, after the first listing of the "
        "folder, or once the model answers",
    )

    drain_timeout_s: float = Field(
        10.0, ge=0, description="time that requests have to finish when the server stops"
    )

    @model_validator(mode="after")
    def _queue_holds_a_batch(self) -> Self:
        if self.max_queued_rows < self.max_batch_size:
            raise ValueError(
                f"max_queued_rows ({self.max_queued_rows}) must be at least "
                f"max_batch_size ({self.max_batch_size})"
            )
        if self.max_queued_explanations < self.explain_batch_size:
            raise ValueError(
                f"max_queued_explanations ({self.max_queued_explanations}) must be at least "
                f"explain_batch_size ({self.explain_batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _a_full_request_is_held(self) -> Self:
        if self.max_bytes_in_flight < 2 * self.max_request_bytes:
            raise ValueError(
                f"max_bytes_in_flight ({self.max_bytes_in_flight}) must be at least twice "
                f"max_request_bytes ({self.max_request_bytes})"
            )
        return self
