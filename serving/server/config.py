"""Configuration of the embedded server."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from serving.contract.numbering import LARGEST_VERSION

Port = Annotated[int, Field(ge=0, le=65535)]
VersionNumber = Annotated[int, Field(ge=0, le=LARGEST_VERSION)]


class ServerConfig(Frozen):
    """One model, watched in its version folder and served over gRPC and REST."""

    model_base: Path = Field(description="the folder that holds the integer version folders")
    model_name: str = Field("model", pattern=r"^[^/:\s]+$", description="the name clients ask for")

    host: str = Field("127.0.0.1", description="the address to listen on; loopback by default")
    grpc_port: Port = Field(8500, description="0 takes any free port")
    rest_port: Port = Field(8501, description="0 takes any free port")
    max_request_bytes: int = Field(
        64 << 20, ge=1024, description="of a request, also once it is decompressed"
    )
    max_request_rows: int = Field(4096, ge=1, description="rows (images) in one request")
    max_tensor_bytes: int = Field(
        256 << 20, ge=1024, description="of the tensors of one request, and of one answer"
    )
    max_bytes_in_flight: int = Field(
        512 << 20,
        ge=2048,
        description="of all requests and answers that a process holds at the same time",
    )
    max_json_values: int = Field(4 << 20, ge=1, description="in the JSON of one REST request")
    max_json_depth: int = Field(32, ge=3, description="lists and objects within each other in JSON")
    max_message_fields: int = Field(
        1 << 17, ge=1, description="in one gRPC message, at any depth; packed values are none"
    )
    max_connections: int = Field(
        1024, ge=1, description="of each protocol; over REST one without a request makes room"
    )
    header_timeout_s: float = Field(10.0, gt=0, description="until a REST request's head is there")
    transfer_timeout_s: float = Field(
        60.0, gt=0, description="until a request has arrived whole, and until its answer is taken"
    )
    idle_timeout_s: float = Field(
        75.0, gt=0, description="a connection without a request is kept this long"
    )
    request_timeout_s: float = Field(30.0, gt=0, description="how long a request may wait")

    poll_interval_s: float = Field(1.0, gt=0, description="how often the folder is looked at")
    latest_versions: int = Field(1, ge=1, description="how many of the newest are served at once")
    labels: dict[str, VersionNumber | Literal["latest"]] = Field(
        default_factory=dict,
        description="names for versions; a labelled version stays loaded beside the newest",
    )
    slow_load_s: float = Field(
        60.0, gt=0, description="a version that loads for longer no longer holds up the others"
    )
    retry_failed_s: float = Field(60.0, gt=0, description="a version that failed is tried again")

    max_batch_size: int = Field(64, ge=1, description="rows that go through the model at once")
    max_queued_rows: int = Field(1024, ge=1, description="rows that may wait; more is UNAVAILABLE")
    batch_workers: int = Field(1, ge=1, description="batches in the model at the same time")
    intra_op_threads: int = Field(0, ge=0, description="threads within an op; 0 lets TF decide")
    inter_op_threads: int = Field(0, ge=0, description="ops at the same time; 0 lets TF decide")

    processes: int = Field(
        1, ge=1, le=64, description="processes that share the ports; each holds the model"
    )
    supervisor_pid: int | None = Field(
        None, description="set in such a process: it shares the ports and ends with its supervisor"
    )

    listen_from: Literal["start", "first_look", "first_answer"] = Field(
        "start",
        description="set in such a process: nobody connects to it before its folder was looked "
        "at, or before its model answers",
    )

    drain_timeout_s: float = Field(10.0, ge=0, description="how long requests may end at the stop")

    @model_validator(mode="after")
    def _queue_holds_a_batch(self) -> Self:
        if self.max_queued_rows < self.max_batch_size:
            raise ValueError(
                f"max_queued_rows ({self.max_queued_rows}) must be at least "
                f"max_batch_size ({self.max_batch_size})"
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
