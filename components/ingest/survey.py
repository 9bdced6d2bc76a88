"""Survey of a source's splits, before anything is ingested."""

from components.ingest.config import IngestConfig
from components.ingest.records.survey import Survey
from components.ingest.sources import family_of


def survey(config: IngestConfig) -> Survey:
    """Reads headers and labels, and no pixel of a scene; of photographs and chips it reads the
    files for copies.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: the split's rule cannot decide, or photographs are remote.
    """
    return family_of(config.source).survey(config)
