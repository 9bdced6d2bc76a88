"""Examples of photographs before they are encoded."""

from collections.abc import Iterator
from itertools import tee

from components.ingest.files.layout import in_writing_order
from components.ingest.files.read import ReadFailure, read_file, read_files
from components.ingest.photographs.truth import TruthReader
from components.ingest.photographs.validate import ImageValidator, Refused
from components.ingest.records.outcome import DecodedExample
from components.ingest.records.record import Listing, Record
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings


def sample_photographs(
    settings: Settings, listing: Listing, truth_of: TruthReader
) -> Iterator[DecodedExample | Reject]:
    """Yields every example or reject, mixed as they will be written."""
    validate = ImageValidator(settings.image, decode=True)
    records, ahead = tee(in_writing_order(listing.records))
    most = settings.image.max_bytes
    contents = read_files((record.uri for record in ahead), most)
    for record, content in zip(records, contents, strict=True):
        if isinstance(content, ReadFailure):
            yield Reject(record.key, record.uri, content.reason, content.detail)
            continue
        image = validate(content)
        if isinstance(image, Refused):
            yield Reject(record.key, record.uri, image.reason, image.detail)
        elif image.pixels is not None:
            mask = _mask(record, most)
            truth = (
                mask
                if isinstance(mask, Reject)
                else truth_of(record, mask, image.height, image.width)
            )
            if isinstance(truth, Reject):
                yield truth
            else:
                yield DecodedExample(record, image.pixels, None, record.truth_with(truth))


def _mask(record: Record, max_bytes: int) -> bytes | Reject | None:
    if record.mask_uri is None:
        return None
    try:
        return read_file(record.mask_uri, max_bytes)
    except ReadFailure as failure:
        return Reject(record.key, record.uri, failure.reason, f"the mask: {failure.detail}")
