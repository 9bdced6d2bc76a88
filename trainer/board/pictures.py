"""Pictures of a training, as files and for TensorBoard."""

import io
import itertools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from components.raster.pictures.sheet import contact_sheet, legend_of
from serving.contract.contract import Contract
from trainer.board.cards import cards_of
from trainer.board.confusion import confusion, draw_confusion
from trainer.board.predictions import predict_examples
from trainer.tasks.registry import board_of

PREDICTIONS_FILE, CONFUSION_FILE = "predictions.png", "confusion.png"
_EXAMPLES = 32
_COLUMNS = 8


def write_pictures(
    model: keras.Model,
    contract: Contract,
    files: Sequence[str],
    log_dir: str,
    step: int,
    batch_size: int = 32,
) -> None:
    """Draws the model's predictions for the eval split, and its confusions.

    Args:
        model: has the exported weights.
        files: the eval split.
        log_dir: receives predictions.png and, where the task has classes of images or pixels,
            confusion.png; and the same in `validation/` for TensorBoard.
        step: TensorBoard's step: the epoch of the weights.
    """
    examples = predict_examples(model, contract, files, batch_size)
    first = list(itertools.islice(examples, _EXAMPLES))
    counts = confusion(itertools.chain(first, examples), contract)
    each = board_of(contract.task).cards_per_example
    columns = _COLUMNS // each * each
    legend = legend_of(contract.classes) if each > 1 else ()
    sheet = contact_sheet(cards_of(first, contract), columns=columns, legend=legend)
    pictures = {PREDICTIONS_FILE: sheet}
    if counts is not None:
        pictures[CONFUSION_FILE] = draw_confusion(counts, contract.classes)
    writer = tf.summary.create_file_writer(f"{log_dir}/validation")
    with writer.as_default(step=step):
        for name, picture in pictures.items():
            _write(f"{log_dir}/{name}", picture)
            tf.summary.image(name.removesuffix(".png"), np.asarray(picture)[np.newaxis])
    writer.close()


def _write(path: str, picture: Image.Image) -> None:
    data = io.BytesIO()
    picture.save(data, "PNG")
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(data.getvalue())
