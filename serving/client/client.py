"""Python client of a prediction server: images in, predictions out, over gRPC or REST.

    with connect("grpc://127.0.0.1:8500", model="landcover") as client:
        [prediction] = client.predict([Path("tile.jpg").read_bytes()])
        print(prediction.class_name, prediction.probabilities)

The type of a prediction depends on the model's task, see `serving.tasks.registry`. The client
works with the embedded server and with TensorFlow Serving. It imports no TensorFlow, and imports
rasterio only to read a GeoTIFF.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from components.raster.batched import batched
from components.raster.errors import SkymillError
from components.raster.graph_errors import refusal_message
from serving.client.explanation import Explanation, explain_inputs, read_explanations
from serving.client.raster_reading import RasterReading, is_tiff
from serving.client.transport import (
    ModelMetadata,
    ModelRef,
    RawAnswer,
    RequestFailed,
    Transport,
    VersionStatus,
)
from serving.client.wire_tensors import Array, TensorError, enum_of, string_array
from serving.contract.names import (
    BYTES_INPUT,
    BYTES_SIGNATURE,
    CONTRACT_INPUT,
    CONTRACT_OUTPUT,
    CONTRACT_SIGNATURE,
    EXPLAIN_SIGNATURE,
    INPUT_OF,
)
from serving.contract.needs import ModelNeeds
from serving.tasks.base import AnyPrediction
from serving.tasks.registry import AnswerError, read_predictions
from serving.tasks.single_label.answer import Prediction as Prediction

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
#: Advice for the decoder's refusals; their own module would import pydantic.
_WHICH_BANDS = (
    "Say which bands of the file they are: RasterReading, or skymill predict --bands and "
    "--band-names."
)
_REMEDIES = {
    "wrong_bands: ": _WHICH_BANDS,
    "(unknown_band): ": "With skymill predict: --bands, --band-names; in Python: RasterReading.",
    "wrong_values: ": "Say what the model learnt: RasterReading.values, or skymill predict "
    "--values; also stored, if the numbers mean the same whatever the file states.",
}

T = TypeVar("T")


class ClientError(SkymillError):
    """Error response of a server for which there is no more specific class."""


class ServerUnavailable(ClientError):
    """No server answers at the address, or it is too busy; a later retry may succeed."""


class ServerTimeout(ClientError):
    """The server did not answer in time."""


class ModelNotFound(ClientError):
    """The server has no such model, version or label."""


class InvalidRequest(ClientError):
    """The server refuses the inputs."""


class BadImage(InvalidRequest):
    """The model cannot decode an image, or one image of several."""


@dataclass(frozen=True)
class FileResult:
    """A file with its prediction (its type depends on the task), or the error.

    >>> with connect(address, model="colours") as client:
    ...     results = list(client.predict_files([Path("missing.png")]))
    >>> results[0].prediction, results[0].error
    (None, 'cannot be read: No such file or directory')
    """

    path: Path
    prediction: AnyPrediction | None
    error: str | None = None


def connect(
    address: str, *, model: str = "model", timeout_s: float = 30.0, retries: int = 3
) -> "PredictClient":
    """Returns a client of the server at `address`; sends nothing yet.

    Args:
        address: `grpc://host:port`, `http://host:port`, or `grpcs://` and `https://` for TLS.
        model: the model's name.
        timeout_s: for each attempt.
        retries: further attempts while the server is unavailable.

    Raises:
        ClientError: the address has another form.

    >>> connect("127.0.0.1:8500")
    Traceback (most recent call last):
        ...
    serving.client.client.ClientError: The address '127.0.0.1:8500' is not of the form ...
    """
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("grpc", "grpcs", "http", "https") or not host or not port:
        raise ClientError(
            f"The address {address!r} is not of the form grpc://host:port or http://host:port."
        )
    if parts.path not in ("", "/"):
        raise ClientError(f"The address {address!r} must end at the port: leave {parts.path} out.")
    transport = _transport(parts.scheme, host, port)
    return PredictClient(transport, address, model=model, timeout_s=timeout_s, retries=retries)


def _transport(scheme: str, host: str, port: int) -> Transport:
    """Creates the transport for a URL scheme; imports only the protocol in use."""
    if scheme.startswith("grpc"):
        from serving.client.grpc_transport import GrpcTransport

        return GrpcTransport(host, port, secure=scheme == "grpcs")
    from serving.client.rest_transport import RestTransport

    return RestTransport(host, port, secure=scheme == "https")


class PredictClient:
    """Client of one model on one server. Thread-safe; close it, or use `with`.

    >>> with connect(address, model="colours") as client:  # grpc://host:port
    ...     [prediction] = client.predict([blue_png])
    ...     version = client.served_version()
    >>> prediction.class_name, version
    ('blue', 1)
    """

    def __init__(
        self, transport: Transport, address: str, *, model: str, timeout_s: float, retries: int
    ) -> None:
        self._transport = transport
        self._address = address
        self._model = model
        self._timeout_s = timeout_s
        self._retries = retries

    def predict(
        self,
        images: Sequence[bytes],
        *,
        signature: str = BYTES_SIGNATURE,
        version: int | None = None,
        label: str = "",
    ) -> list[AnyPrediction]:
        """Predicts images, given as encoded files, in one request.

        Args:
            images: encoded images; for models of rasters, payloads (`read_image` converts
                GeoTIFFs); for `serving_examples`, serialized tf.Examples.
            signature: one of the served contract's.
            version: a model version; the newest by default.
            label: a version's label, instead of a number.

        Raises:
            BadImage: the model cannot decode one of them; `predict_files` identifies which.
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        if not images:
            return []
        name = INPUT_OF.get(signature, BYTES_INPUT)
        try:
            answer = self.predict_raw(
                {name: string_array(images)}, signature=signature, version=version, label=label
            )
        except InvalidRequest as error:
            raise BadImage(str(error)) from error
        return _predictions(answer, len(images))

    def predict_raw(
        self,
        inputs: Mapping[str, Array],
        *,
        signature: str = BYTES_SIGNATURE,
        version: int | None = None,
        label: str = "",
        output_filter: Sequence[str] = (),
    ) -> RawAnswer:
        """Runs any signature on arrays by name; strings are bytes in object arrays.

        Raises:
            InvalidRequest: the server refuses the inputs, or an array's type cannot be sent.
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        try:
            for array in inputs.values():
                enum_of(array)
        except TensorError as error:
            raise InvalidRequest(f"{error}.") from error
        model = ModelRef(self._model, version, label)
        return self._ask(
            lambda: self._transport.predict(
                model, signature, inputs, output_filter, self._timeout_s
            )
        )

    def explain(
        self,
        images: Sequence[bytes],
        *,
        target: str = "",
        version: int | None = None,
        label: str = "",
    ) -> list[Explanation]:
        """Explains the answers to images, for models that were exported with explanations.

        Args:
            images: as in `predict`; a server limits their number (`max_explain_rows`).
            target: a class, or an object by its index in the answer, such as `#0`; empty for the
                answer's own class, number or surest object.
            version: a model version; the newest by default.
            label: a version's label, instead of a number.

        Raises:
            InvalidRequest: the model cannot explain, has no such target, or cannot decode an image.
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        if not images:
            return []
        inputs = explain_inputs(images, target)
        answer = self.predict_raw(inputs, signature=EXPLAIN_SIGNATURE, version=version, label=label)
        try:
            return read_explanations(answer.outputs, len(images), answer.model_version)
        except AnswerError as error:
            raise ClientError(str(error)) from error

    def predict_files(
        self,
        paths: Iterable[Path],
        *,
        batch_size: int = 16,
        concurrency: int = 4,
        version: int | None = None,
        label: str = "",
        rasters: RasterReading | None = None,
        any_size: bool = False,
    ) -> Iterator[FileResult]:
        """Predicts many files, in their order, with a bounded number of concurrent requests.

        A file that cannot be read, or that the model refuses, becomes a result with an error.
        A GeoTIFF is sent as a payload of the bands that `rasters` names, else of those that the
        model needs, else of all. A model of rasters gets every other image as a payload too. A
        raster whose size or ground sample distance differs too much from the training tiles is an
        error, unless `any_size` is set.

        Raises:
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: the run cannot continue.
        """

        reading = rasters or RasterReading()
        needs = self.needs(version, label)
        if needs is not None:
            reading = reading.meeting(needs, any_size)

        def predict_batch(batch: Sequence[Path]) -> list[FileResult]:
            return self._predict_batch(batch, version, label, reading)

        batches = batched(paths, batch_size)
        with ThreadPoolExecutor(concurrency, thread_name_prefix="predict") as pool:
            under_way: deque[Future[list[FileResult]]] = deque()
            try:
                for batch in batches:
                    under_way.append(pool.submit(predict_batch, batch))
                    if len(under_way) > concurrency:
                        yield from under_way.popleft().result()
                while under_way:
                    yield from under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()

    def _predict_batch(
        self, paths: Sequence[Path], version: int | None, label: str, rasters: RasterReading
    ) -> list[FileResult]:
        contents = [_read(path, rasters) for path in paths]
        images = [content for content in contents if isinstance(content, bytes)]
        predictions = iter(self._predict_each(images, version, label))
        results = []
        for path, content in zip(paths, contents, strict=True):
            outcome = next(predictions) if isinstance(content, bytes) else content
            if isinstance(outcome, BadImage | str):
                results.append(FileResult(path, None, _explained(str(outcome))))
            else:
                results.append(FileResult(path, outcome))
        return results

    def _predict_each(
        self, images: Sequence[bytes], version: int | None, label: str
    ) -> Sequence[AnyPrediction | BadImage]:
        """Predicts all images at once; after a failure one by one, to find the bad one."""
        try:
            return self.predict(images, version=version, label=label)
        except BadImage as error:
            if len(images) == 1:
                return [error]
        return [self._predict_each([image], version, label)[0] for image in images]

    def status(self, version: int | None = None) -> tuple[VersionStatus, ...]:
        """Returns the states of all versions that the server knows, or of one version.

        Raises:
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        model = ModelRef(self._model, version)
        return self._ask(lambda: self._transport.status(model, self._timeout_s))

    def served_version(self) -> int | None:
        """Returns the newest available version, or None."""
        try:
            statuses = self.status()
        except ModelNotFound:
            return None
        available = [s.model_version for s in statuses if s.state == "AVAILABLE"]
        return max(available, default=None)

    def metadata(self, version: int | None = None, label: str = "") -> ModelMetadata:
        """Returns the signatures of a version, the newest by default.

        Raises:
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        model = ModelRef(self._model, version, label)
        return self._ask(lambda: self._transport.metadata(model, self._timeout_s))

    def needs(self, version: int | None = None, label: str = "") -> ModelNeeds | None:
        """Returns the input requirements of a version, the newest by default; None if unknown.

        Raises:
            ServerUnavailable, ServerTimeout, ModelNotFound, ClientError: see these classes.
        """
        try:
            answer = self.predict_raw(
                {CONTRACT_INPUT: string_array([b""])},
                signature=CONTRACT_SIGNATURE,
                version=version,
                label=label,
            )
            return ModelNeeds.of_contract(answer.outputs[CONTRACT_OUTPUT][0].decode())
        except (InvalidRequest, KeyError, ValueError):
            return None

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: Callable[[], T]) -> T:
        """Sends a request with retries; every request is idempotent."""
        for attempt in range(self._retries + 1):
            try:
                return request()
            except RequestFailed as error:
                if error.code != "UNAVAILABLE" or attempt == self._retries:
                    raise self._error(error) from error
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt)
            time.sleep(wait_s * random.uniform(0.5, 1.0))
        raise AssertionError("the last attempt returns or raises")

    def _error(self, error: RequestFailed) -> ClientError:
        message = error.message
        match error.code:
            case "UNAVAILABLE":
                return ServerUnavailable(
                    f"No server answers at {self._address} ({message}). "
                    "Is it running, and is this its port for this protocol?"
                )
            case "DEADLINE_EXCEEDED":
                return ServerTimeout(
                    f"{self._address} did not answer within {self._timeout_s:g} s ({message}). "
                    "Give a longer timeout or smaller batches."
                )
            case "NOT_FOUND":
                return ModelNotFound(f"{self._address} has no model {self._model!r}: {message}")
            case "INVALID_ARGUMENT" if message.startswith("Unrecognized servable version label"):
                return ModelNotFound(f"{self._address}, model {self._model!r}: {message}")
            case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
                return InvalidRequest(
                    f"{self._address} refuses the request: {refusal_message(message)}"
                )
        return ClientError(f"{self._address} answered {error.code}: {message}")


def _predictions(answer: RawAnswer, count: int) -> list[AnyPrediction]:
    try:
        return read_predictions(answer.outputs, count, answer.model_version)
    except AnswerError as error:
        raise ClientError(str(error)) from error


def read_image(path: Path, rasters: RasterReading | None = None) -> bytes:
    """Reads a file in the form that a model takes: a raster's payload, or an unchanged photograph.

    A GeoTIFF is a raster. For a model of rasters, one with named bands, so is every other file.

    Raises:
        SkymillError: the wanted bands cannot be read from a raster.
        OSError: the file cannot be read.

    >>> from components.raster.payload import decode_payload
    >>> payload = read_image(Path(scene_file), RasterReading(bands=("nir08", "red")))
    >>> decode_payload(payload).bands
    ('nir08', 'red')
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would wait forever
        raise ClientError("it is not a regular file")
    with path.open("rb") as file:
        start = file.read(4)
        if not is_tiff(start) and not (rasters and rasters.bands):
            return start + file.read()
    try:
        from serving.client.geotiff import geotiff_payload
    except ModuleNotFoundError as error:
        raise ClientError(
            f"a raster needs {str(error.name).partition('.')[0]}, which is not installed: "
            "pip install 'skymill[client,geotiff]'"
        ) from error
    return geotiff_payload(path, rasters or RasterReading())


def _read(path: Path, rasters: RasterReading) -> bytes | str:
    try:
        return read_image(path, rasters)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    except SkymillError as error:
        return str(error)


def _explained(error: str) -> str:
    remedies = (remedy for refusal, remedy in _REMEDIES.items() if refusal in error)
    return next((f"{error.rstrip('.')}. {remedy}" for remedy in remedies), error)
