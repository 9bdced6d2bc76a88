"""Whether there is something to learn, and a network to learn it, as the configuration tells."""

from components.ingest.raster_config import TiledSource
from components.raster.errors import ConfigError
from components.raster.task import ONE_OF_SEVERAL
from pipelines.config.tree import PipelineConfig
from trainer.models.config import Backbone, Preset, is_folder


def require_learnable(config: PipelineConfig) -> None:
    """What would stop a run only when its data have been read is told before it starts.

    Raises:
        ConfigError: the source tells nothing to learn, or the network to train has a name that
            nothing has.
    """
    _require_truth(config)
    _require_network(config)


def _require_truth(config: PipelineConfig) -> None:
    """Tiles without truth go through ingest, statistics and look; nothing can be learnt of them."""
    source = config.ingest.source
    if isinstance(source, TiledSource) and source.labels is None:
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
        from trainer.models.backbone import require_backbone  # seconds to load

        require_backbone(model.name)
    elif isinstance(model, Preset) and not is_folder(model.preset):
        from trainer.models.preset import require_preset

        require_preset(model.preset)
