"""Choice of the span of a configured source that a run reads."""

from typing import Any, Protocol, TypeVar

from components.ingest.config import SourceConfig
from components.ingest.files.spans import SpanName, filled, find_span, has_pattern, name_of
from components.raster.errors import ConfigError


class Spanned(Protocol):
    """A configuration with a source and a span."""

    @property
    def source(self) -> SourceConfig: ...
    @property
    def span(self) -> SpanName | None: ...
    def model_dump(self) -> dict[str, Any]: ...
    @classmethod
    def model_validate(cls, obj: Any) -> Any: ...


Config = TypeVar("Config", bound=Spanned)


def choose_span(config: Config) -> Config:
    """Replaces patterns by the chosen span's own paths, and sets its name in `span`.

    This applies to every path of the source, including those of labels. A source without a pattern
    stays unchanged. Call it once, where a run begins, since the newest span may change.

    Raises:
        DataError: there is no such span.
        ConfigError: a span is requested but the source has no pattern.
    """
    place = config.source.uri
    if not has_pattern(place):
        if config.span is not None:
            raise ConfigError(
                f"ingest.span is {config.span}, but {place} has no pattern of spans: write "
                "{SPAN} or {YYYY}-{MM}-{DD} where the span's name stands, or leave ingest.span out"
            )
        return config
    span = find_span(place, config.span)
    source = filled(config.source.model_dump(mode="json"), span)
    chosen: Config = type(config).model_validate(
        {**config.model_dump(), "source": source, "span": name_of(place, span)}
    )
    return chosen
