"""Push of a candidate, unless it is served already or was compared with a stale baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.store.digest import model_digest
from serving.store.served import served_version
from serving.store.version_store import version_store
from serving.store.versions import PublishedError, StaleBaselineError


@dataclass(frozen=True)
class Pushed:
    """Version that holds the candidate.

    Attributes:
        is_new: False if the baseline holds the same model, which was then not pushed again.
        warning: the error after the version was published; empty if there was none.
    """

    model_version: int
    is_new: bool
    warning: str = ""


def push_candidate(
    model_dir: Path,
    model_base: str,
    *,
    baseline_version: int | None,
    provenance: Mapping[str, bytes],
    keep: int,
    endpoint: str | None = None,
) -> Pushed:
    """Publishes `model_dir` as the next version in `model_base`.

    Looks up the served version again, because the comparison with the baseline does not hold for a
    version that has replaced it meanwhile. A candidate with the same content as the baseline is not
    pushed again.

    Args:
        model_dir: the SavedModel that was checked.
        model_base: `<model_dir>/<name>`: a folder, or a URI of a store.
        baseline_version: the version that the candidate was compared with, or None.
        provenance: files for the version's `provenance/`, by relative name.
        keep: number of older versions to keep.
        endpoint: the server that reports the served version; None: the newest in the folder.

    Raises:
        StaleBaselineError: another version is being served by now.
        PushError: the served version cannot be determined, or `model_dir` is not a SavedModel.
    """
    served, store = served_version(model_base, endpoint), version_store(model_base)
    if served.number != baseline_version:
        raise StaleBaselineError(
            f"The candidate was compared with {_name(baseline_version)}, but "
            f"{_name(served.number)} of {model_base} is being served by now. Run the pipeline "
            "again: everything that does not depend on the baseline comes from the cache."
        )
    if served.number is not None and store.digest(served.number) == model_digest(model_dir):
        return Pushed(served.number, is_new=False)
    try:
        number = store.push(
            model_dir,
            expected_baseline=baseline_version,
            provenance=dict(provenance),
            keep=keep,
            served=served.number,
            not_served=served.refused,
        )
    except PublishedError as error:  # servers see the version, so lineage must record it
        return Pushed(error.number, is_new=True, warning=str(error))
    return Pushed(number, is_new=True)


def _name(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"
