"""Checks of the user's own code that a configuration names, before a run reads its data."""

from collections.abc import Iterator

from components.raster.errors import ConfigError
from components.raster.extension import Extension, PackageMissing, extensions_of
from components.raster.task import WITHOUT_CLASSES
from pipelines.config.tree import PipelineConfig
from trainer.augment.config import CustomView
from trainer.models.config import Custom
from trainer.tasks.config import options_type
from trainer.tasks.measures_config import CustomLoss, CustomTrainingMetric


def require_extensions(config: PipelineConfig) -> None:
    """Refuses code that is not installed here, or cannot be what the configuration uses it for.

    Raises:
        ConfigError: lists every fault by its key.
    """
    _raise([*missing_extensions(config), *_faults(config)])


def check_extensions(config: PipelineConfig) -> None:
    """Refuses as `require_extensions` does, but skips packages that are not installed here.

    Raises:
        ConfigError: lists every fault by its key.
    """
    _raise(_faults(config))


def missing_extensions(config: PipelineConfig) -> list[str]:
    """Returns why some extensions cannot be checked here, in words; imports none."""
    return [error for key, each in extensions_of(config) if (error := _missing(each, key))]


def identities(config: PipelineConfig) -> dict[str, str]:
    """Returns the identity of each extension, by its key.

    Raises:
        PackageMissing: a package is not installed here.
    """
    return {key: each.identity(key) for key, each in extensions_of(config)}


def has_extension(config: PipelineConfig, section: str) -> bool:
    """Checks whether a section of the configuration names any code."""
    return any(key.split(".")[0] == section for key, _ in extensions_of(config))


def _missing(extension: Extension, key: str) -> str:
    try:
        extension.find(key)
    except PackageMissing as error:
        return str(error)
    return ""


def _faults(config: PipelineConfig) -> Iterator[str]:
    for key, extension in extensions_of(config):
        if not _missing(extension, key):
            try:
                _check(extension, key, config)
            except ConfigError as error:
                yield str(error)


def _check(extension: Extension, key: str, config: PipelineConfig) -> None:
    """Raises ConfigError for what can be known without data."""
    extension.require(key)
    image, task, classes = config.ingest.image, config.ingest.task, config.ingest.classes or ()
    # The modules that build and try them take seconds to import.
    if isinstance(extension, Custom):
        from trainer.models.custom import require_body
        from trainer.tasks.registry import objective_type

        require_body(extension, image, objective_type(task).pooled)
    elif isinstance(extension, CustomView):
        from trainer.augment.custom import require_view

        require_view(extension, key, image, options_type(task).seen_by_views)
    elif isinstance(extension, CustomLoss | CustomTrainingMetric) and (
        classes or task in WITHOUT_CLASSES
    ):
        from trainer.tasks.measures import make_loss, make_metric

        make = make_loss if isinstance(extension, CustomLoss) else make_metric
        make(extension, key, classes)


def _raise(faults: list[str] | Iterator[str]) -> None:
    if messages := list(faults):
        raise ConfigError("\n".join(messages))
