"""Checks whether augmentation, class weights and loss suit a task; needs no TensorFlow."""

from components.raster.task import Task
from trainer.augment.config import Augment, chosen_views
from trainer.imbalance.config import Imbalance
from trainer.tasks.config import TaskOptions, default_options, options_type, tasks_with_trait


def conflict(task: Task, augment: bool | Augment, imbalance: Imbalance) -> str | None:
    """Returns why the configuration does not suit a task, in words; None if it does."""
    return _with_views(task, augment) or _with_imbalance(task, imbalance)


def _with_views(task: Task, augment: bool | Augment) -> str | None:
    views = chosen_views(augment)
    for name, trait in (("mixup", "mixes_whole"), ("cutmix", "mixes_parts")):
        known = tasks_with_trait(trait)
        if views is not None and getattr(views, name) is not None and task not in known:
            return (
                f"train.model.augment.{name} makes no sense for {task}, where the truth of two "
                f"images cannot be mixed: leave it out; it is for {', '.join(known)}"
            )
    return None


def _with_imbalance(task: Task, imbalance: Imbalance) -> str | None:
    options = options_type(task)
    if imbalance.sampling == "balanced" and not options.balances:
        return (
            f"train.imbalance.sampling is balanced, but an image of {task} does not have a "
            "single class: leave it natural"
        )
    for name, is_set in (
        ("class_weights", imbalance.class_weights != "none"),
        ("focal_gamma", imbalance.focal_gamma is not None),
    ):
        if is_set and options.weighting is None:
            known = ", ".join(tasks_with_trait("weighting"))
            return f"train.imbalance.{name} is for {known}, not for {task}"
    return None


def beside_own_loss(task: Task, options: TaskOptions | None, imbalance: Imbalance) -> str | None:
    """Describes the settings of the task's loss that have no effect on a loss of the user's own."""
    usual = default_options(task)
    chosen = options or usual
    idle = [
        f"train.task.{name}"
        for name in ("loss", "cross_entropy", "dice")
        if getattr(chosen, name, None) != getattr(usual, name, None)
    ]
    # Weights of whole examples are applied outside of the loss.
    if imbalance.class_weights != "none" and usual.weighting != "examples":
        idle.append("train.imbalance.class_weights")
    if not idle:
        return None
    return (
        f"train.loss is your own loss, which {' and '.join(idle)} cannot change: leave them out, "
        "or make them arguments of the loss"
    )
