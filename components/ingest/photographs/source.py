"""Families of photographs, which differ in how they find images and their truth."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from components.ingest.files.layout import records_of
from components.ingest.listing.corrections import corrected
from components.ingest.listing.folders import list_files, list_folders
from components.ingest.listing.records import (
    RecordFamily,
    fingerprint_input_of_records,
    listing_of,
    of_classes,
)
from components.ingest.photographs.config import FoldersSource, ImagesSource
from components.ingest.photographs.convert import Converter
from components.ingest.photographs.samples import sample_photographs
from components.ingest.photographs.survey import survey_photographs
from components.ingest.photographs.truth import TruthReader, of_record
from components.ingest.records.family import Convert, FingerprintInput
from components.ingest.records.outcome import DecodedExample
from components.ingest.records.record import Contents, Listing
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.ingest.records.source import Located
from components.ingest.records.survey import Survey

Options = TypeVar("Options", bound=Located)


class Photographs(RecordFamily, ABC, Generic[Options]):
    """A source of photographs: a `Family` whose items are records of single files.

    Args:
        source: configuration of the source.
    """

    def __init__(self, source: Options) -> None:
        self.source = source

    @abstractmethod
    def find(self) -> Contents:
        """Lists the images that the source names; none is opened."""

    def truth_of(self, classes: Sequence[str]) -> TruthReader:
        """Returns the reader of truth that is not part of records; default: there is none."""
        return of_record

    def box_files(self) -> Mapping[str, str]:
        """Returns the files of boxes, by key; default: none."""
        return {}

    def files_read_to_find(self) -> Sequence[str]:
        """Lists the files of boxes, which name images."""
        return list(self.box_files().values())

    def fingerprint_input(self, found: Contents, split_files: Sequence[str]) -> FingerprintInput:
        """Returns the fingerprint's input: each image, and the other files."""
        boxes = self.box_files()
        return fingerprint_input_of_records(found, split_files, box_files=boxes, read_whole=True)

    def listing(self, settings: Settings, found: Contents) -> Listing:
        """Returns the images of configured classes."""
        known, unknown = of_classes(found.records, settings.classes)
        found = replace(found, records=known, rejects=[*found.rejects, *unknown])
        return listing_of(found, settings, self.source.uri)

    def converter(self, settings: Settings, classes: Sequence[str]) -> Convert:
        """Returns the conversion of lines of records."""
        converter = Converter(settings, classes, self.truth_of(classes))
        return lambda line, note=None: converter.convert(records_of(line), note)

    def survey(self, settings: Settings) -> Survey:
        """Reads the files for copies, and counts the splits."""
        listing = self.listing(settings, self.find())
        truth_of = self.truth_of(listing.classes)
        return survey_photographs(self.source.uri, settings, listing, truth_of)

    def samples(
        self, settings: Settings, listing: Listing, count: int
    ) -> Iterator[DecodedExample | Reject]:
        """Yields every example and reject."""
        return sample_photographs(settings, listing, self.truth_of(listing.classes))


class FolderPhotographs(Photographs[FoldersSource]):
    """Photographs in class folders."""

    def find(self) -> Contents:
        """Lists the images; the folder is the class."""
        return corrected(list_folders(self.source.uri), self.source.corrections)


class UnlabelledPhotographs(Photographs[ImagesSource]):
    """Photographs without truth."""

    def find(self) -> Contents:
        """Lists the images, whatever the names of their folders."""
        return list_files(self.source.uri, self.source.apart)
