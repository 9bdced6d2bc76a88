"""Pushed model in this process: the newest version of a folder, or one SavedModel."""

from dataclasses import dataclass
from pathlib import Path

from components.raster.errors import DataError
from serving.contract.contract import Contract, read_contract
from serving.server.errors import ServingError
from serving.server.model import LoadedModel, Threads, load_model
from serving.store.digest import model_digest
from serving.store.versions import model_folder


@dataclass(frozen=True, eq=False)
class PushedModel:
    """A loaded model with its contract.

    Attributes:
        model: runs its signatures.
        contract: its inputs and outputs.
        version: its number; None for a SavedModel outside a folder of versions.
        identity: digest of its files; it changes with the model's answers.
    """

    model: LoadedModel
    contract: Contract
    version: int | None
    identity: str


def load_pushed(
    path: Path,
    version: int | None = None,
    threads: Threads | None = None,
    few_calls: bool = False,
) -> PushedModel:
    """Loads a model.

    Args:
        path: a folder of versions, or a SavedModel.
        version: within a folder of versions; None: the newest.
        threads: limits for TensorFlow; None lets it decide.
        few_calls: as in `load_model`.

    Raises:
        DataError: there is no such model, or it cannot be loaded.
    """
    folder, number = model_folder(path, version)
    contract = read_contract(folder)
    try:
        # Callers use one or two of the model's signatures.
        model = load_model(number or 0, folder, threads or Threads(), False, few_calls)
    except ServingError as error:
        raise DataError(f"{folder}: the model cannot be loaded: {error}") from error
    return PushedModel(model, contract, number, model_digest(folder))
