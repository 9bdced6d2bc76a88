"""`skymill look`: draws the examples as a model will see them."""

from pathlib import Path

import click

from pipelines.cli.options import LocalPath, config_option


@click.command()
@config_option
@click.option(
    "-o",
    "--output",
    default="look.png",
    show_default=True,
    type=LocalPath(),
    help="Picture to write.",
)
@click.option(
    "--count",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Number of examples.",
)
@click.option(
    "--bands", default="", help="One band, or three for red, green and blue: B08,B04,B03."
)
@click.option(
    "--side",
    "side_px",
    default=128,
    show_default=True,
    type=click.IntRange(16, 1024),
    help="Side of an example in the picture, in pixels.",
)
@click.option("--tiles", is_flag=True, help="Draw the tiles over a scene instead of examples.")
@click.option("--augmented", is_flag=True, help="Draw several augmented versions of each example.")
@click.option(
    "--issues",
    type=LocalPath(path_type=Path),
    help="Draw the examples of this file of label issues, the most suspicious first.",
)
@click.option("--scene", "scene_id", help="With --tiles: the scene to draw; default: the first.")
def command(
    config_path: str,
    output: str,
    count: int,
    bands: str,
    side_px: int,
    tiles: bool,
    augmented: bool,
    issues: Path | None,
    scene_id: str | None,
) -> None:
    """Draw examples with their truth and their split, and rejects framed in red.

    Bands of rasters are stretched from the 2nd to the 98th percentile of the valid pixels of all
    examples shown. Pixels without data are magenta, and the mask is drawn beside the image. With
    --issues (from `skymill labels audit`) the text shows the label, the suggested label and the
    confidence. With --augmented each row shows one example: unchanged, and changed by the
    configured views.
    """
    from components.ingest.choose_span import choose_span
    from components.ingest.look import look, look_at_tiles
    from pipelines.config.tree import load_config

    whole = load_config(config_path)
    config = choose_span(whole.ingest)
    names = tuple(filter(None, bands.split(",")))
    if augmented:
        from pipelines.local.augmented import look_augmented

        whole = whole.model_copy(update={"ingest": config})
        picture = look_augmented(whole, count=count, bands=names, side_px=side_px)
    elif issues:
        from components.ingest.look import look_at_keys
        from components.label_audit.issues import captions, read_issues

        texts = captions(read_issues(issues), count)
        picture = look_at_keys(config, texts, bands=names, side_px=side_px)
    elif tiles:
        picture = look_at_tiles(config, scene_id, names)
    else:
        picture = look(config, count=count, bands=names, side_px=side_px)
    picture.save(output, "PNG")
    click.echo(f"{output}: {picture.width} x {picture.height} pixels")
