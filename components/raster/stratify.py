"""Stratified splits for multi-label data: iterative stratification.

Source of the method: Sechidis, Tsoumakas and Vlahavas 2011, "On the stratification of multi-label
data", doi 10.1007/978-3-642-23808-6_10.
"""

from collections import Counter
from collections.abc import Mapping

from components.raster.example import SPLITS
from components.raster.split import SplitConfig, drawn_order


def stratified_splits(
    units: Mapping[str, Mapping[str, int]], config: SplitConfig
) -> dict[str, str]:
    """Assigns each unit to a split, so that the splits have nearly the wanted share of each class.

    The rarest class is distributed first; only the salt decides between equal units.

    Args:
        units: images or groups that stay together, each with its number of examples by class.
        config: fractions and salt.

    Returns: the split of each unit, by its name.

    >>> units = {f"farm-{i}": {"corn": 4, "rye": i % 2} for i in range(6)}
    >>> drawn = stratified_splits(units, SplitConfig(train=0.5, eval=0.25, test=0.25))
    >>> sorted(drawn.values())
    ['eval', 'test', 'test', 'train', 'train', 'train']
    """
    totals: Counter[str] = Counter()
    holders: dict[str, list[str]] = {}
    for unit in sorted(units, key=lambda name: drawn_order(name, config)):
        totals.update(units[unit])
        for name in units[unit]:
            holders.setdefault(name, []).append(unit)
    wanted = {
        split: Counter({name: config.share(split) * count for name, count in totals.items()})
        for split in SPLITS
    }
    found: dict[str, str] = {}
    for name in sorted(totals, key=lambda it: (totals[it], it)):
        for unit in holders[name]:
            if unit not in found:
                found[unit] = max(SPLITS, key=lambda it: (wanted[it][name], wanted[it].total()))
                wanted[found[unit]].subtract(units[unit])
    return found
