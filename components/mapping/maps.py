"""Maps of several scenes: a folder for each, or a reject with its reason."""

import datetime
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

import numpy as np

from components.mapping.cells import CellMap
from components.mapping.config import MapConfig
from components.mapping.layout import Layout, lay_out
from components.mapping.models import TileModel
from components.mapping.objects import ObjectMap
from components.mapping.only_run import only_run
from components.mapping.opening import view_for
from components.mapping.picture import UNKNOWN_RGB, map_picture
from components.mapping.product import Output, Product
from components.mapping.progress import identity_of
from components.mapping.rejects import MapReason, MapReject, MapRejected
from components.mapping.scene_map import OnProgress, SceneTask, gather, put_in_place
from components.mapping.segmentation import ClassMap
from components.mapping.settled import settled_bytes
from components.mapping.stac_item import stac_item
from components.mapping.thumbnail import SceneThumbnail
from components.mapping.unknown import check_detects_unknown
from components.raster.errors import ConfigError, DataError
from components.raster.library_errors import LibraryError
from components.raster.location import is_remote, local_path
from components.raster.pictures.png import png_of
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import SceneSource
from components.raster.strict_json import strict_json
from components.raster.tiles.view import View
from serving.contract.contract import Contract
from serving.tasks.base import Form

#: Unfinished maps, in the folder of outputs.
UNFINISHED = ".unfinished"
_REPORT = "map.json"
_ITEM = "item.json"
_FLOAT_BYTES = 4
_PRODUCTS: Mapping[Form, type[ClassMap | CellMap | ObjectMap]] = {
    "pixels": ClassMap,
    "objects": ObjectMap,
    "image": CellMap,
}


@dataclass(frozen=True)
class SceneMap:
    """The finished map of a scene.

    Attributes:
        scene_id: of the scene.
        folder: of its files.
        files: their names.
        rejects: tiles that could not be read.
        is_new: False if an earlier run had finished it.
    """

    scene_id: str
    folder: Path
    files: tuple[str, ...]
    rejects: tuple[MapReject, ...]
    is_new: bool = True


def map_scenes(
    sources: Iterable[SceneSource],
    model: TileModel,
    config: MapConfig,
    output: Path,
    *,
    overwrite: bool = False,
    on_scene: Callable[[SceneSource], OnProgress] | None = None,
) -> Iterator[SceneMap | MapReject]:
    """Yields the map of each scene, or the reject of one that cannot be mapped.

    Raises:
        ConfigError: model and settings do not fit together.
        SkymillError: the server cannot be reached, or the disk is full. Finished maps and the parts
            of an unfinished one stay, and the same call continues from there.

    >>> from components.mapping.served import ServedModel
    >>> from components.raster.scene.folders import find_scenes
    >>> with ServedModel.at(address, "cover") as model:
    ...     scenes = find_scenes(scene_file).sources
    ...     [made] = map_scenes(scenes, model, MapConfig(vectors=()), Path(output))
    >>> made.files
    ('classes.tif', 'classes.tif.aux.xml', 'confidence.tif', 'map.png', 'item.json')
    """
    for source in sources:
        on_progress = None if on_scene is None else on_scene(source)
        try:
            yield map_scene(
                source, model, config, output, overwrite=overwrite, on_progress=on_progress
            )
        except (SceneRejected, MapRejected) as rejected:
            yield MapReject.of_scene(rejected)
        except LibraryError as error:
            yield MapReject(source.scene_id, MapReason.UNREADABLE, str(error))
        except DataError as error:
            yield MapReject(source.scene_id, MapReason.MODEL_FAILED, str(error))


def map_scene(
    source: SceneSource,
    model: TileModel,
    config: MapConfig,
    output: Path,
    *,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> SceneMap:
    """Makes the map of a scene in the folder `output / scene_id`.

    The folder appears when it is complete. A finished map of the same scene, model and settings is
    returned unchanged.

    Raises:
        SceneRejected: the scene cannot be read.
        MapRejected: the scene does not fit the model, another map is in its place, or another run
            is making it.
        DataError: the model fails.
        ConfigError: model and settings do not fit together.
    """
    _check_name(source.scene_id)
    check_detects_unknown(model.contract, config)
    view = view_for(source, model.contract, config.reading)
    identity, target = identity_of(view, model, config), output / source.scene_id
    found = _finished(target, source.scene_id, identity)
    if found is not None:
        return found
    _check_place(source.scene_id, output)
    _check_replaceable(target, view, overwrite=overwrite)
    folder = output / UNFINISHED / source.scene_id
    with only_run(folder, source.scene_id):
        # A run that has just ended may have finished it.
        found = _finished(target, source.scene_id, identity)
        return found or _make(view, model, config, output, identity, on_progress)


def _make(
    view: View,
    model: TileModel,
    config: MapConfig,
    output: Path,
    identity: str,
    on_progress: OnProgress | None,
) -> SceneMap:
    """Makes the map in the folder of unfinished ones, and moves it to its place when complete."""
    scene_id = view.scene.scene_id
    folder, target = output / UNFINISHED / scene_id, output / scene_id
    layouts = layouts_for(view, model.contract, config)
    kind = _PRODUCTS[model.contract.form]
    product = kind(layouts[0], view.grid, model.contract, config, folder)
    task = SceneTask(view, layouts, product, SceneThumbnail(view), folder)
    try:
        rejects = gather(task, model, config, on_progress)
        _check_unchanged(view, model, config, identity)
    except MapRejected:
        _remove(folder, output)
        raise
    finished = folder / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    finished.mkdir()
    outputs = [*product.outputs(finished), _picture(task, model, finished)]
    _write_item(finished / _ITEM, stac_item(view, model, outputs, _now()))
    names = (*(output.path.name for output in outputs), _ITEM)
    _write_report(finished / _REPORT, identity, names, rejects, _masked(product, config))
    put_in_place(finished, target)
    _remove(folder, output)
    return SceneMap(scene_id, target, names, rejects)


def _check_unchanged(view: View, model: TileModel, config: MapConfig, identity: str) -> None:
    """Rejects a scene whose files were replaced while they were read.

    Raises:
        MapRejected: they were, so the map may mix two scenes.
    """
    with suppress(OSError):  # a deleted file was not replaced
        if identity_of(view, model, config) != identity:
            raise MapRejected(
                view.scene.scene_id,
                MapReason.CHANGED,
                "its files were replaced while they were read, so the map may mix two scenes. "
                "Give the command again once nothing writes to them.",
            )


def _check_name(scene_id: str) -> None:
    """Rejects a scene whose name leads out of the output folder; a catalogue may give any name.

    Raises:
        MapRejected: it does.
    """
    parts = PurePath(scene_id).parts
    if not parts or PurePath(scene_id).is_absolute() or {"..", UNFINISHED} & set(parts):
        raise MapRejected(
            scene_id, MapReason.BAD_NAME, "its map would have no place in the output folder."
        )


def _check_place(scene_id: str, output: Path) -> None:
    """Rejects a scene whose map would lie inside that of another one, or contain it.

    Raises:
        MapRejected: it would, such as `a/b` beside `a`.
    """
    target, report = output / scene_id, output / scene_id / _REPORT
    above = [output / it / _REPORT for it in PurePath(scene_id).parents if it.parts]
    others = [*above, *(it for it in target.rglob(_REPORT) if it != report)]
    for other in others:
        if other.exists():
            raise MapRejected(
                scene_id,
                MapReason.EXISTS,
                f"its map would be in {target}, and the map of another scene is in {other.parent}: "
                "one would lie in the other. Choose another --output.",
            )


def _check_replaceable(target: Path, view: View, *, overwrite: bool) -> None:
    """Rejects a scene if its place holds something that may not be replaced.

    Raises:
        MapRejected: it holds a map and `overwrite` is False; or files that are not a map, the
            scene itself, or a link.
    """

    def refusal(what: str) -> MapRejected:
        return MapRejected(view.scene.scene_id, MapReason.EXISTS, f"{target} {what}")

    if target.is_symlink():
        raise refusal("is a link. Remove it, or choose another --output.")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / _REPORT).is_file():
        raise refusal(
            "is not a map of this command, and is never replaced. Move it away, or choose another "
            "--output."
        )
    if not overwrite:
        raise refusal(
            "holds another map, of another version of the scene or the model, or with other "
            "settings. Remove it, choose another --output, or give --overwrite."
        )
    own = [local_path(file.path) for file in view.files if not is_remote(file.path)]
    if any(Path(path).resolve().is_relative_to(target.resolve()) for path in own):
        raise refusal("holds the scene itself, and is never replaced. Choose another --output.")


def _picture(task: SceneTask, model: TileModel, folder: Path) -> Output:
    """Draws scene and answer side by side."""
    grid, path = task.view.grid, folder / "map.png"
    scene = task.thumbnail.picture(UNKNOWN_RGB)
    answer = task.product.picture(folder, scene)
    version = "" if model.version is None else f" {model.version}"
    title = f"{task.view.scene.scene_id}   {model.name}{version}"
    pixel_m = None if grid.gsd_m is None else grid.gsd_m * task.thumbnail.step
    picture = map_picture(scene, answer, task.product.legend, title, pixel_m)
    path.write_bytes(png_of(np.asarray(picture)))
    return Output("picture", path, "image/png", "Scene and map")


def layouts_for(view: View, contract: Contract, config: MapConfig) -> tuple[Layout, ...]:
    """Lays out the tiles of a scene, once for each scale.

    A tile at another scale is larger or smaller by that factor; the model resizes it to its input.

    Raises:
        ConfigError: the model does not take square tiles, or several scales are given for a model
            that does not detect objects.
    """
    size, image = config.tile_px or tile_px(contract), contract.image
    blends = contract.form == "pixels"
    if blends and image.height_px != image.width_px and image.fit != "stretch":
        raise ConfigError(
            f"the model's images are {image.height_px} x {image.width_px} pixels and are fitted by "
            f"{image.fit}: square tiles would not fill them. Train it on square ones, or with "
            "image.fit: stretch."
        )
    if config.scales != (1,) and contract.form != "objects":
        raise ConfigError(
            f"the model's task is {contract.task}: only objects can be merged across scales. "
            "Leave scales out (--scales); --tile-px sets the size of tiles."
        )
    sizes = [max(1, round(size / scale)) for scale in config.scales]
    classes, masks = contract.classes, config.masks_unknown
    return tuple(
        lay_out(
            view,
            size,
            config.stride_px(size, contract.form),
            pixel_bytes=settled_bytes(len(classes), config) if blends else 0,
            overlap_bytes=(len(classes) + masks) * _FLOAT_BYTES if blends else 0,
            memory_bytes=config.memory_mb * 2**20,
            edge="pad" if contract.form == "image" else "snap",
        )
        for size in sizes
    )


def tile_px(contract: Contract) -> int:
    """Returns the side of the tiles that a model was trained on, or else of its input.

    Raises:
        ConfigError: they are not square, or of several sizes.
    """
    image, tiles = contract.image, contract.tiles
    sides = {image.height_px, image.width_px}
    if tiles is not None:
        sides = {int(side) for side in (*tiles.height_px, *tiles.width_px)}
    if len(sides) > 1:
        raise ConfigError(
            f"the model learnt from images of {min(sides)} to {max(sides)} pixels a side, and a "
            "map is made of square tiles: choose their size (--tile-px)."
        )
    return sides.pop()


def _finished(target: Path, scene_id: str, identity: str) -> SceneMap | None:
    """Returns a finished map; None if there is none, or a different one."""
    try:
        report = json.loads((target / _REPORT).read_text())
    except (OSError, ValueError):
        return None
    if report.get("identity") != identity:
        return None
    rejects = tuple(MapReject(**it) for it in report["rejects"])
    return SceneMap(scene_id, target, tuple(report["files"]), rejects, is_new=False)


def _masked(product: Product, config: MapConfig) -> dict[str, object]:
    """Returns the report's fields on masking; empty if the map is not masked."""
    if not config.masks_unknown:
        return {}
    counts = product.masked().report()
    return {"masked": {"above_percentile": config.mask_unknown, **counts}}


def _write_report(
    path: Path,
    identity: str,
    names: Sequence[str],
    rejects: Iterable[MapReject],
    masked: Mapping[str, object],
) -> None:
    report = {
        "identity": identity,
        "files": list(names),
        "rejects": [asdict(reject) for reject in rejects],
        **masked,
    }
    path.write_text(json.dumps(report, indent=1) + "\n")


def _write_item(path: Path, item: Mapping[str, object]) -> None:
    path.write_text(strict_json(item, indent=1) + "\n")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _remove(folder: Path, output: Path) -> None:
    """Removes a scene's unfinished folder, and those above it that become empty."""
    shutil.rmtree(folder)
    with suppress(OSError):  # stops at the first that is not empty
        while folder.parent != output:
            folder = folder.parent
            folder.rmdir()
