"""Findings from TFDV's anomalies."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tensorflow_metadata.proto.v0 import anomalies_pb2

from components.gate.report import Finding

GATE = "data"

Severity = Literal["error", "warning"]
Offenders = Callable[[str], str]
"""Feature name -> text that names the offending examples; "" if there are none."""

_RANK = {
    "warning": anomalies_pb2.AnomalyInfo.WARNING,
    "error": anomalies_pb2.AnomalyInfo.ERROR,
}
_REMEDY = "Correct the data, or accept it in the schema (skymill schema accept)."


def stopping_features(
    anomalies: anomalies_pb2.Anomalies, severity: Severity, ignore: Sequence[str]
) -> list[str]:
    """Returns the sorted features whose anomalies stop the run."""
    return [name for name, _ in _counting(anomalies, severity, ignore)]


def anomaly_findings(
    split: str,
    anomalies: anomalies_pb2.Anomalies,
    severity: Severity,
    ignore: Sequence[str],
    offenders: Offenders,
) -> Iterator[Finding]:
    """Yields a failed finding for every reason that stops the run, else one passed finding."""
    failed = False
    for name, info in _counting(anomalies, severity, ignore):
        for reason in info.reason:
            failed = True
            yield _finding(split, name, reason, offenders(name))
    for reason in anomalies.dataset_anomaly_info.reason:
        if anomalies.dataset_anomaly_info.severity >= _RANK[severity]:
            failed = True
            yield _finding(split, f"split {split}", reason, "")
    if not failed:
        yield Finding(
            GATE,
            "matches the schema",
            True,
            f"split {split}",
            f"No anomaly of severity {severity!r} or above.",
        )


def lesser_anomalies(
    anomalies: anomalies_pb2.Anomalies, severity: Severity, ignore: Sequence[str]
) -> list[str]:
    """Returns anomalies that do not stop the run, as text for the report."""
    stopping = stopping_features(anomalies, severity, ignore)
    return [
        f"{name}: {info.description}" for name, info in _named(anomalies) if name not in stopping
    ]


def _counting(
    anomalies: anomalies_pb2.Anomalies, severity: Severity, ignore: Sequence[str]
) -> list[tuple[str, anomalies_pb2.AnomalyInfo]]:
    return [
        (name, info)
        for name, info in _named(anomalies)
        if info.severity >= _RANK[severity] and name not in ignore
    ]


def _named(
    anomalies: anomalies_pb2.Anomalies,
) -> list[tuple[str, anomalies_pb2.AnomalyInfo]]:
    named = [(_name(key, info), info) for key, info in anomalies.anomaly_info.items()]
    return sorted(named, key=lambda pair: pair[0])


def _name(key: str, info: anomalies_pb2.AnomalyInfo) -> str:
    return ".".join(info.path.step) or key


def _finding(
    split: str, subject: str, reason: anomalies_pb2.AnomalyInfo.Reason, offending: str
) -> Finding:
    kind = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
    sentences = [f"In split {split}: {reason.description}", offending, _REMEDY]
    detail = " ".join(sentence for sentence in sentences if sentence)
    return Finding(GATE, f"{reason.short_description} ({kind})", False, subject, detail)
