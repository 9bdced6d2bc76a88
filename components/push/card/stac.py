"""Model as a STAC item with the machine learning model extension (MLM)."""

import datetime
from typing import Any

import pystac
from stac_model.input import InputStructure, ModelInput
from stac_model.output import MLMClassification, ModelOutput, ModelResult
from stac_model.schema import MLModelExtension, MLModelProperties

from components.push.card.card import CARD_FILE, CARD_PAGE_FILE, ModelCard
from components.push.card.wording import inputs_text, measured_text
from components.raster.masking import masked
from components.raster.stac_classes import stac_class_names
from components.raster.task import MLM_TASKS
from serving.contract.contract import Contract

_EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)
#: Dimensions and type of the numbers in an output, by its name; the other outputs are names.
_RESULTS = {
    "probabilities": (("batch", "class"), "float32"),
    "present": (("batch", "class"), "uint8"),
    "value": (("batch",), "float32"),
    "class_raster": (("batch", "height", "width"), "uint8"),
    "confidence": (("batch", "height", "width"), "float32"),
    "boxes": (("batch", "object", "edge"), "float32"),
    "box_labels": (("batch", "object"), "int32"),
    "box_scores": (("batch", "object"), "float32"),
}


def stac_item(card: ModelCard, contract: Contract) -> dict[str, Any]:
    """Returns the item as JSON values; its links point to the files beside it.

    If the training data have no location, its geometry is the whole earth, and its description
    says so.
    """
    bbox = card.data.bbox or _EVERYWHERE
    item = pystac.Item(
        id=f"{card.name}-{card.model_sha256[:12]}",
        geometry=_ground(bbox),
        bbox=list(bbox),
        datetime=datetime.datetime.fromisoformat(card.made),
        properties={"title": card.name, "description": _description(card)},
    )
    if card.terms.licence:
        item.properties["license"] = card.terms.licence
    if card.terms.contact:
        item.properties["contacts"] = [{"name": masked(card.terms.contact), "roles": ["contact"]}]
    item.add_asset("model", _model_asset(card, contract))
    for key, name, media_type in (
        ("card", CARD_PAGE_FILE, pystac.MediaType.HTML),
        ("card_json", CARD_FILE, pystac.MediaType.JSON),
    ):
        item.add_asset(
            key, pystac.Asset(f"./{name}", "Model card", media_type=media_type, roles=["metadata"])
        )
    MLModelExtension.ext(item, add_if_missing=True).apply(_properties(card, contract))
    if card.inputs.bands:
        # The extension requires bands in the properties; STAC allows them there if an asset has
        # some.
        item.properties["bands"] = _bands(card)
    if card.pretrained is None:
        item.properties["mlm:pretrained_source"] = None  # the extension requires an explicit null
    document: dict[str, Any] = item.to_dict(include_self_link=False)
    return document


def _extension_name(name: str) -> str:
    """Returns a pipeline's name in the form that the extension requires: three characters or
    more, the last of them a letter or a digit.

    >>> _extension_name("crops"), _extension_name("lc_")
    ('crops', 'model lc')
    """
    ended = name.rstrip("_-")
    return ended if len(ended) > 2 else f"model {ended}"


def _properties(card: ModelCard, contract: Contract) -> MLModelProperties:
    task = MLM_TASKS[contract.task]
    height, width, channels = contract.image.shape
    last = "bands" if card.inputs.bands else "channel"  # as the extension's schema demands
    given = ModelInput(
        name=inputs_text(card),
        bands=list(card.inputs.bands),
        input=InputStructure(
            shape=[-1, height, width, channels],
            dim_order=["batch", "height", "width", last],
            data_type=contract.image.pixel_type,
        ),
        resize_type={"stretch": "interpolation-linear"}.get(card.inputs.fit, card.inputs.fit),
    )
    sizes = {"batch": -1, "height": height, "width": width, "class": len(contract.classes)}
    sizes |= {"object": -1, "edge": 4}
    classes = [
        MLMClassification(value=index, name=name, description=title)
        for index, (name, title) in enumerate(
            zip(stac_class_names(contract.classes), contract.classes, strict=True)
        )
    ]
    outputs = [
        ModelOutput(
            name=name,
            tasks={task},
            result=ModelResult(
                shape=[sizes[it] for it in _RESULTS[name][0]],
                dim_order=list(_RESULTS[name][0]),
                data_type=_RESULTS[name][1],
            ),
            classes=classes,
        )
        for name in contract.outputs
        if name in _RESULTS
    ]
    return MLModelProperties(
        name=_extension_name(card.name),
        architecture=card.architecture or "unknown",
        tasks={task},
        input=[given],
        output=outputs,
        framework="TensorFlow",
        framework_version=card.environment.get("tensorflow"),
        pretrained=card.pretrained is not None,
        pretrained_source=card.pretrained,
        accelerator=None,
    )


def _bands(card: ModelCard) -> list[dict[str, str]]:
    return [{"name": band} for band in card.inputs.bands]


def _model_asset(card: ModelCard, contract: Contract) -> pystac.Asset:
    return pystac.Asset(
        "../saved_model.pb",
        title="SavedModel, the folder of this file",
        media_type="application/octet-stream; application=tensorflow-savedmodel",
        roles=["mlm:model"],
        extra_fields={
            "mlm:artifact_type": "tf.keras.Model.export",
            "skymill:signatures": dict(contract.signatures),
            "skymill:model_sha256": card.model_sha256,
            **({"bands": _bands(card)} if card.inputs.bands else {}),
        },
    )


def _description(card: ModelCard) -> str:
    parts = [card.terms.purpose or "", measured_text(card.metrics, card.metrics.overall)]
    if card.data.bbox is None:
        parts.append("The training data state no place, so the geometry is the whole earth.")
    return " ".join(filter(None, parts))


def _ground(bbox: tuple[float, float, float, float]) -> dict[str, Any]:
    """Returns a box as GeoJSON, in two parts if it crosses the date line."""
    west, south, east, north = bbox
    if west <= east:
        return {"type": "Polygon", "coordinates": [_ring(west, south, east, north)]}
    parts = [_ring(west, south, 180.0, north)], [_ring(-180.0, south, east, north)]
    return {"type": "MultiPolygon", "coordinates": list(parts)}


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
