"""Data gate: anomalies, drift from the served version's data, skew between the splits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from components.data_check.anomalies import (
    GATE,
    anomaly_findings,
    lesser_anomalies,
    stopping_features,
)
from components.data_check.config import DataCheckConfig, FeatureThresholds
from components.data_check.divergence import (
    Comparison,
    Statistics,
    divergences,
    feature_names,
    number_of_examples,
)
from components.data_check.offenders import Offender, find_offenders
from components.gate.report import JSON, Finding, GateReport
from components.raster.example import SLICE_PREFIX

TRAIN = "train"


@dataclass(frozen=True)
class SplitData:
    """Data of one split; `statistics` is None if none were computed."""

    name: str
    statistics: Statistics | None
    anomalies: anomalies_pb2.Anomalies
    shards: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pair:
    """Two sets of statistics to compare, and their description for messages."""

    comparison: Comparison
    current: Statistics
    other: Statistics
    whose: str


def check_data(
    splits: Sequence[SplitData],
    schema: schema_pb2.Schema,
    baseline: Statistics | None,
    config: DataCheckConfig,
) -> GateReport:
    """Returns the report of the data gate; reads examples only to name the offending ones.

    `baseline` holds the training statistics of the served version; None means that there is nothing
    to compare with, which is reported as a fact, not as a failure. A split without statistics or
    examples fails, and so does a feature that cannot be compared.
    """
    findings: list[Finding] = []
    for split in splits:
        findings.append(_presence(split))
        findings += _anomalies(split, schema, config)
    pairs, not_compared = _pairs(splits, baseline, config)
    for pair in pairs:
        findings += _closeness(pair, config)
    return GateReport(GATE, tuple(findings), _facts(splits, not_compared, config))


def _presence(split: SplitData) -> Finding:
    subject = f"split {split.name}"
    rule = "has statistics of at least one example"
    if split.statistics is None:
        detail = "There are no statistics. Run the pipeline again."
        return Finding(GATE, rule, False, subject, detail)
    count = number_of_examples(split.statistics)
    advice = "" if count else " Add data, or change the shares of the splits."
    return Finding(GATE, rule, count > 0, subject, f"It has {count:,} examples.{advice}")


def _anomalies(
    split: SplitData, schema: schema_pb2.Schema, config: DataCheckConfig
) -> Iterator[Finding]:
    names = stopping_features(split.anomalies, config.severity, config.ignore)
    limit = config.examples_named
    found: Mapping[str, Sequence[Offender]] = {}
    if names and limit:
        found = find_offenders(split.shards, schema, names, limit, config.examples_scanned)

    def offenders(name: str) -> str:
        named = [f"{offender.key} ({offender.value})" for offender in found.get(name, ())]
        return f"Offending examples: {', '.join(named)}." if named else ""

    return anomaly_findings(split.name, split.anomalies, config.severity, config.ignore, offenders)


def _pairs(
    splits: Sequence[SplitData], baseline: Statistics | None, config: DataCheckConfig
) -> tuple[list[_Pair], list[str]]:
    """Returns the pairs to compare, and as text those that cannot be compared."""
    known = {split.name: split.statistics for split in splits if split.statistics is not None}
    train = known.pop(TRAIN, None)
    if train is None:
        return [], [f"nothing: there are no statistics of the split {TRAIN!r}"]
    wanted = [
        _Pair("skew", train, other, f"the {name} split from the {TRAIN} split")
        for name, other in known.items()
    ]
    not_compared = []
    if baseline is None:
        not_compared.append("drift: no version with statistics is being served")
    else:
        whose = f"the {TRAIN} split from the data of the version being served"
        wanted.insert(0, _Pair("drift", train, baseline, whose))
    enough = []
    for pair in wanted:
        smaller = min(number_of_examples(pair.current), number_of_examples(pair.other))
        if smaller >= config.min_examples:
            enough.append(pair)
        else:
            not_compared.append(
                f"{pair.comparison} of {pair.whose}: {smaller} examples are fewer than "
                f"min_examples, {config.min_examples}"
            )
    return enough, not_compared


def _closeness(pair: _Pair, config: DataCheckConfig) -> Iterator[Finding]:
    ours, theirs = feature_names(pair.current), feature_names(pair.other)
    thresholds = {
        name: _threshold(pair.comparison, name, config)
        for name in sorted(ours | theirs)
        if _is_compared(name, config)
    }
    measured = divergences(pair.comparison, pair.current, pair.other, thresholds)
    for name, bound in thresholds.items():
        value = measured[name]
        if value is not None:
            yield _distance(pair, name, value, bound)
        elif pair.comparison == "drift" and name not in theirs:
            detail = "It is new: the version being served has no statistics of it."
            yield Finding(GATE, "drift", True, name, detail)
        else:
            yield _incomparable(pair, name, name in ours, name in theirs)


def _distance(pair: _Pair, name: str, value: float, bound: float) -> Finding:
    detail = f"The divergence of {pair.whose} is {value:.3f}; at most {bound:g} is allowed."
    passed = value <= bound
    if not passed:
        detail += (
            f" Look at both distributions; if the change is meant, raise "
            f"data_check.per_feature[{name!r}].{pair.comparison}_threshold."
        )
    return Finding(GATE, pair.comparison, passed, name, detail)


def _incomparable(pair: _Pair, name: str, in_current: bool, in_other: bool) -> Finding:
    if in_current and in_other:
        why = "one side has no finite value of it"
    else:
        why = "one side has no value of it"
    detail = (
        f"The divergence of {pair.whose} cannot be measured: {why}. Correct the data, or add "
        f"{name!r} to data_check.ignore."
    )
    return Finding(GATE, pair.comparison, False, name, detail)


def _is_compared(name: str, config: DataCheckConfig) -> bool:
    if name in config.ignore:
        return False
    return name in config.per_feature or not name.startswith(SLICE_PREFIX)


def _threshold(comparison: Comparison, name: str, config: DataCheckConfig) -> float:
    own = config.per_feature.get(name, FeatureThresholds())
    if comparison == "drift":
        chosen, default = own.drift_threshold, config.drift_threshold
    else:
        chosen, default = own.skew_threshold, config.skew_threshold
    return default if chosen is None else chosen


def _facts(
    splits: Sequence[SplitData], not_compared: Sequence[str], config: DataCheckConfig
) -> dict[str, JSON]:
    lesser = {
        split.name: lesser_anomalies(split.anomalies, config.severity, config.ignore)
        for split in splits
    }
    return {
        "examples": {
            split.name: number_of_examples(split.statistics) if split.statistics else 0
            for split in splits
        },
        "not_compared": list(not_compared),
        "anomalies_let_pass": {name: list(words) for name, words in lesser.items() if words},
    }
