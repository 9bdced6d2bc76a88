"""A tiny configuration of photographs of two colours, and its package."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.config.tree import parse_config
from pipelines.kubeflow.compile.package import compile_package

IMAGE = "registry.example/skymill@sha256:" + "0" * 64
COLOURS = {"field": (40, 160, 60), "roof": (170, 60, 50)}
IMAGES = 30


def make_images(folder: Path, seed: int = 5) -> None:
    """A folder of images for each class."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES):
            pixels = np.clip(np.array(colour) + rng.normal(0, 12, (16, 16, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def tree(volume: Path, *, image: str = IMAGE, **changes: dict) -> dict[str, Any]:
    """The configuration, all of it on one volume; `changes` by part."""
    found: dict[str, Any] = {
        "name": "land_cover",
        "workspace": str(volume / "work"),
        "ingest": {
            "source": {"kind": "folders", "uri": str(volume / "images")},
            "image": {"height_px": 16, "width_px": 16},
        },
        "schema": {"home": str(volume / "schema.pbtxt")},
        "data_check": {"skew_threshold": 1.0, "drift_threshold": 1.0},
        "train": {"model": {"kind": "small_cnn", "filters": [8]}, "epochs": 2, "batch_size": 8},
        "evaluation": {"allow": ["missing_baseline"]},
        "push": {"model_dir": str(volume / "models")},
        "kubeflow": {
            "steps": {
                "image": image,
                "volumes": [{"claim": "data", "path": str(volume)}],
                "retries": {"count": 1, "backoff_s": 1},
            }
        },
    }
    for part, values in changes.items():
        found[part] = {**found.get(part, {}), **values}
    return found


def package(volume: Path, *, image: str = IMAGE, **changes: dict) -> str:
    """The package of that configuration."""
    return compile_package(parse_config(tree(volume, image=image, **changes), "/")).to_yaml()
