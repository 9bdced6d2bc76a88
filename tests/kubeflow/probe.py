"""An executor that records its inputs, for tests of the entry point."""

import json
import os
import signal
import ssl
from typing import Any

from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact

from components.raster.errors import ConfigError, DataError, TransientDataError
from components.raster.stores.object_store import StorageError
from serving.store.versions import StaleBaselineError


class Executor(BaseExecutor):
    """Writes a file into its output, sets properties of every kind, and records its inputs."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        [output] = output_dict["made"]
        record = {
            "inputs": {name: found[0].uri for name, found in input_dict.items()},
            "properties": exec_properties,
            "run_id": self._context.pipeline_run_id,
            "folder_was_made": os.path.isdir(output.uri),
        }
        with open(os.path.join(output.uri, "told.json"), "w", encoding="utf-8") as file:
            json.dump(record, file)
        output.split_names = '["train"]'
        output.span = 3
        output.set_int_custom_property("count", 7)
        output.set_float_custom_property("share", 0.5)
        output.set_json_value_custom_property("list", [1, None, 2])
        output.set_string_custom_property("best", os.path.join(output.uri, "told.json"))
        output.set_string_custom_property("data", "s3://imagery/somebody's")


class Failing(BaseExecutor):
    """Appends a line to a file in each attempt, then fails as its property requires."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        with open(exec_properties["attempts"], "a", encoding="utf-8") as file:
            print("run", file=file)
        _FAILURES[exec_properties["failure"]]()


def _data() -> None:
    raise DataError("3 of 4 images are broken: correct them")


def _configuration() -> None:
    raise ConfigError("labels: no such file") from FileNotFoundError(2, "no such file")


def _baseline() -> None:
    raise StaleBaselineError("version 7 is served by now")


def _network() -> None:
    raise DataError("s3://imagery cannot be read") from ConnectionResetError(104, "reset by peer")


def _network_of_a_worker() -> None:
    """Beam raises the error of a worker anew, without its cause."""
    import apache_beam as beam

    with beam.Pipeline(argv=["--runner=FnApiRunner"]) as pipeline:
        _ = pipeline | beam.Create([None]) | beam.Map(lambda _: _network())


def _certificate() -> None:
    raise DataError("s3://imagery cannot be read") from ssl.SSLCertVerificationError("expired")


def _store_as_cause() -> None:
    raise DataError("s3://imagery cannot be listed") from StorageError("no answer")


def _other_run() -> None:
    raise TransientDataError("another run writes there")


def _disk() -> None:
    raise DataError("cannot be written: No space left on device")


def _memory() -> None:
    raise MemoryError


def _lost_store() -> None:
    raise StorageError("s3://imagery: no answer")


def _signal() -> None:
    signal.raise_signal(signal.SIGTERM)


_FAILURES = {
    "data": _data,
    "configuration": _configuration,
    "baseline": _baseline,
    "network": _network,
    "network of a worker": _network_of_a_worker,
    "certificate": _certificate,
    "store as a cause": _store_as_cause,
    "other run": _other_run,
    "disk": _disk,
    "memory": _memory,
    "store": _lost_store,
    "signal": _signal,
    "": lambda: None,
}


class Stopped(BaseBeamExecutor):
    """A Beam step that gets SIGTERM during its work, like that of a deleted pod."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        [output] = output_dict["made"]
        with open(os.path.join(output.uri, "half"), "w", encoding="utf-8") as file:
            file.write("half")
        signal.raise_signal(signal.SIGTERM)
