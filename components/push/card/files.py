"""Files of the model card in a version's `provenance/`."""

import json
from collections import Counter
from collections.abc import Mapping

from tensorflow_metadata.proto.v0 import statistics_pb2

from components.node.files import split_folder
from components.push.card.card import CARD_FILE, CARD_PAGE_FILE, ModelCard
from components.push.card.page import card_page
from components.push.card.stac import stac_item
from components.raster.example import SENSOR
from serving.contract.contract import Contract
from serving.store.versions import STAC_FILE


def card_files(card: ModelCard, contract: Contract) -> dict[str, bytes]:
    """Returns the card as JSON, as a page and as a STAC item, by name."""
    item = json.dumps(stac_item(card, contract), indent=2, ensure_ascii=False)
    return {
        CARD_FILE: card.to_json(),
        CARD_PAGE_FILE: card_page(card).encode(),
        STAC_FILE: f"{item}\n".encode(),
    }


def sensors_of(statistics: Mapping[str, bytes]) -> tuple[str, ...]:
    """Returns the sensors in the train split, the most frequent first.

    Args:
        statistics: serialized, by file name below the folder of statistics.
    """
    counts: Counter[str] = Counter()
    of_train = split_folder("", "train")
    for content in (it for name, it in statistics.items() if f"/{name}".startswith(f"{of_train}/")):
        for split in statistics_pb2.DatasetFeatureStatisticsList.FromString(content).datasets:
            for feature in split.features:
                if (feature.name or ".".join(feature.path.step)) == SENSOR:
                    for bucket in feature.string_stats.rank_histogram.buckets:
                        counts[bucket.label] += int(bucket.sample_count)
    return tuple(name for name, _ in counts.most_common())
