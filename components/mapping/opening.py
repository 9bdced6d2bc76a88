"""Views of scenes for a model: its bands, values and ground sample distance; headers only."""

from components.mapping.config import SceneReading
from components.mapping.rejects import MapReason, MapRejected
from components.raster.errors import ConfigError
from components.raster.library_errors import translated
from components.raster.payload import SAMPLE_TYPES
from components.raster.reasons import Reason
from components.raster.scaling import UNSCALED, scaling_given
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import Scene, SceneSource
from components.raster.tiles.view import COUNTING_DTYPE, View, Warp, scaling_to_read, view_scene
from serving.contract.contract import Contract

#: Bands of photographs, by the colours of their files.
_PHOTOGRAPH = ("red", "green", "blue")


def view_for(source: SceneSource, contract: Contract, reading: SceneReading) -> View:
    """Opens a scene in the form that the model needs.

    Raises:
        SceneRejected: the scene cannot be read, or lacks a band.
        MapRejected: its ground sample distance, scale or offset is not that of the training tiles.
            ConfigError: `reading` does not fit the model.
    """

    def unreadable(why: str) -> SceneRejected:
        return SceneRejected(source.scene_id, Reason.UNREADABLE, why)

    image = contract.image
    own = image.bands or _PHOTOGRAPH
    bands = reading.bands or own
    if len(bands) != len(own):
        raise ConfigError(
            f"the model has the bands {', '.join(map(str, own))}, and {len(bands)} were named: "
            "name one for each, in that order."
        )
    values = image.values
    with translated(unreadable):
        scene = open_scene(
            source,
            wanted=bands,
            without_map=reading.without_map or image.bands is None,
            nodata=reading.nodata,
            scaling=scaling_to_read(values, scaling_given(reading.scale, reading.offset)),
            page=reading.page,
        )
        view = view_scene(
            scene,
            bands,
            warp=_warp(scene, bands, contract, reading),
            dtype=_common_dtype(scene, bands),
            valid_when=reading.valid_when,
            values=values,
        )
    _check_type(view, contract)
    if not reading.stored:
        _check_scaling(view, contract)
    return view


def _common_dtype(scene: Scene, bands: tuple[str | int, ...]) -> str | None:
    """Returns the dtype to convert to; None if all bands share one that a payload can hold."""
    found = {band.file.dtype for band in scene.select(bands)}
    return None if len(found) == 1 and found <= set(SAMPLE_TYPES) else COUNTING_DTYPE


def _warp(
    scene: Scene, bands: tuple[str | int, ...], contract: Contract, reading: SceneReading
) -> Warp | None:
    """Returns the warp to the model's ground sample distance; None if the scene has it."""
    trained = contract.tiles.gsd_m if contract.tiles is not None else None
    own = scene.select(bands)[0].file.grid.gsd_m
    near = contract.tiles is None or own is None or contract.tiles.is_near_gsd(own)
    wanted = None if trained is None else (trained[0] + trained[1]) / 2
    if near and reading.crs is None:
        return None
    if near or reading.resample:
        return Warp(crs=reading.crs, gsd_m=wanted, resampling=reading.resampling)
    assert wanted is not None
    raise MapRejected(
        scene.scene_id,
        MapReason.WRONG_GSD,
        f"its pixels are {own:.4g} m apart, and the model learnt from pixels of {wanted:.4g} m: "
        "its answer would be wrong at another scale. Let it be resampled (--resample).",
    )


def _check_type(view: View, contract: Contract) -> None:
    """Rejects photographs whose samples are not those of the model's decoder."""
    if contract.image.bands is None and view.dtype != "uint8":
        raise SceneRejected(
            view.scene.scene_id,
            Reason.UNSUPPORTED_DTYPE,
            f"the model learnt from photographs of 8 bits, and its samples are {view.dtype}.",
        )


def _check_scaling(view: View, contract: Contract) -> None:
    """Rejects a scene whose stored numbers have another scale or offset than in training."""
    trained, bands = contract.band_scalings, contract.image.bands or ()
    if trained is None:
        return
    for name, band in zip(bands, view.bands, strict=True):
        wanted = trained.get(str(name), UNSCALED)
        if band.scaling.rounded != wanted.rounded:
            raise MapRejected(
                view.scene.scene_id,
                MapReason.WRONG_SCALING,
                f"band {name} is {wanted} in training and {band.scaling} here, so that the same "
                "number means another value. Give --scale and --offset, or --stored if only "
                "the tags are wrong.",
            )
