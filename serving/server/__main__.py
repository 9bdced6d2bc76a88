"""`python -m serving.server`: the embedded server as a program."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from components.raster.errors import ConfigError, SkymillError
from components.raster.process_exit import exit_despite_threads
from serving.contract.numbering import version_number
from serving.server.addresses import Addresses
from serving.server.config import ServerConfig
from serving.server.run import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM. Exit codes: 1 if the server cannot listen on the address, 2 for a wrong
    configuration.
    """
    options = _parser().parse_args(arguments)
    ready_file = options.ready_file
    given = {k: v for k, v in vars(options).items() if v is not None and k != "ready_file"}
    given["labels"] = dict(_label(text) for text in options.labels)
    try:
        config = ServerConfig.model_validate(given)
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors are raised too
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

    def announce(addresses: Addresses) -> None:
        if ready_file is not None:
            _write_atomically(ready_file, json.dumps(vars(addresses)))

    try:
        serve(config, announce)
    except SkymillError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.server", description=main.__doc__)
    for name, field in ServerConfig.model_fields.items():
        if name == "labels":
            continue
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            required=field.is_required(),
            help=field.description
            if field.is_required()
            else f"{field.description} (default: {field.default})",
        )
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="NAME=VERSION",
        help="name for a version, or for 'latest'; may be repeated",
    )
    parser.add_argument(
        "--ready-file", type=Path, help="file that is written once the ports listen"
    )
    return parser


def _label(text: str) -> tuple[str, int | str]:
    name, _, version = text.partition("=")
    number = version_number(version)
    return name, version if number is None else number


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    exit_despite_threads(main())
