"""Photographs named by a manifest."""

from collections.abc import Sequence
from dataclasses import replace

from components.ingest.listing.corrections import corrected
from components.ingest.listing.manifest import list_manifest
from components.ingest.photographs.config import ManifestSource
from components.ingest.photographs.masks import PhotographMaskReader
from components.ingest.photographs.source import Photographs
from components.ingest.photographs.truth import TruthReader, of_record
from components.ingest.records.record import Contents


class ManifestPhotographs(Photographs[ManifestSource]):
    """Photographs, each with a row in a table."""

    def find(self) -> Contents:
        """Lists the rows."""
        source = self.source
        found = list_manifest(source.uri, source.columns, source.encoding)
        found = replace(found, classes=source.legend_classes)
        return corrected(found, source.corrections)

    def truth_of(self, classes: Sequence[str]) -> TruthReader:
        """Returns the reader of the masks, if the manifest names masks."""
        return (
            of_record if self.source.legend is None else PhotographMaskReader(self.source, classes)
        )
