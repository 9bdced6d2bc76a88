"""Fits the reading of a source to the model that predicts it."""

from pydantic import ValidationError

from components.ingest.choose_span import choose_span
from components.ingest.config import IngestConfig, SourceConfig
from components.raster.errors import ConfigError
from components.raster.spatial.rules import ByTile
from pipelines.prediction.config import PredictionConfig
from serving.contract.contract import Contract

#: Every tile is read; none can leak, since nothing is learnt.
_EVERY_TILE = ByTile(insist=True)


def reading_for(config: PredictionConfig, contract: Contract) -> IngestConfig:
    """Returns the settings by which ingest's families read the source as the model needs it.

    The truth is not read; bands, size and bounds of an image are those of the model's contract.

    Raises:
        ConfigError: the model takes another kind of images than the source holds.
        DataError: the span does not exist.
    """
    source, image = config.source.without_truth(), contract.image
    _require_kind(config.source, contract)
    tree = {
        "source": source.model_dump(),
        "image": image.model_dump(),
        "features": False,
        "shards": config.shards,
        "span": config.span,
        "split_by": _EVERY_TILE.model_dump() if source.is_raster else None,
    }
    try:
        return choose_span(IngestConfig.model_validate(tree))
    except ValidationError as error:
        raise ConfigError(f"prediction.source: {error}") from error


def _require_kind(source: SourceConfig, contract: Contract) -> None:
    bands = contract.image.bands
    if source.is_raster and not bands:
        raise ConfigError(
            f"the model takes photographs, and a source of kind {source.kind} holds rasters: name "
            "a model of rasters, or a source of photographs (images, manifest)"
        )
    if bands and not source.is_raster:
        raise ConfigError(
            f"the model takes rasters of the bands {', '.join(map(str, bands))}, and a source of "
            f"kind {source.kind} holds photographs: name a model of photographs, or a source of "
            "rasters (chips, scenes, stac)"
        )
