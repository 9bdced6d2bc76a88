"""Checks that a configuration has truth to learn from and a network that exists."""

from components.raster.errors import ConfigError
from components.raster.task import ONE_OF_SEVERAL
from pipelines.config.tree import PipelineConfig
from trainer.models.config import Backbone, Preset, is_folder


def require_learnable(config: PipelineConfig) -> None:
    """Refuses, before a run starts, what would otherwise stop it only after reading its data.

    Raises:
        ConfigError: the source has no truth to learn from, or no network has the configured name.
    """
    _require_truth(config)
    _require_network(config)


def _require_truth(config: PipelineConfig) -> None:
    """Refuses a source without truth: only ingest, statistics and look can use its tiles."""
    if not config.ingest.source.has_truth:
        raise ConfigError("ingest.source: no labels; a run needs truth to learn. Set labels.")
    classes = config.ingest.classes or ()
    if config.ingest.task in ONE_OF_SEVERAL and len(classes) == 1:
        raise ConfigError(
            f"ingest.classes: {classes[0]} is the only class, and a model that always answers it "
            "is always right. Name at least two."
        )


def _require_network(config: PipelineConfig) -> None:
    model = config.train.model
    if isinstance(model, Backbone):
        from trainer.models.backbone import require_backbone  # takes seconds to import

        require_backbone(model.name)
    elif isinstance(model, Preset) and not is_folder(model.preset):
        from trainer.models.preset import require_preset

        require_preset(model.preset)
