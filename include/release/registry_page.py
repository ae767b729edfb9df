"""What a version's page in MLflow tells of its releases: state, history, whose override let it be
tried, and the figures of its online experiments as metrics of the run that it came from.

A projection of the ledger, like the alias: repeating it changes nothing, and MLflow being away
holds nobody up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.errors import RegistryError
from include.registry.client import connect, unreachable
from include.registry.metric_names import escape
from include.release.ledger import Entry
from include.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

STATE, ROW, HISTORY = "release.state", "release.row", "release.history"
OVERRIDE = "release.override"
ONLINE = "online"
# MLflow takes 5,000 characters of a tag, and 1,000 metrics at once.
SHOWN_ROWS = 20
MOST_CHARACTERS = 5000
MOST_METRICS = 1000
STATES = {
    "registered": "registered",
    "requested": "approval requested",
    "approved": "approved",
    "rejected": "rejected",
    "traffic": "in a rollout",
    "promoted": "in service",
    "rolled_back": "rolled back",
}


def show_releases(settings: Settings, use_case: str, rows: Sequence[Entry]) -> list[int]:
    """Bring the pages of all versions up to the ledger's rows (of the use case, oldest first); the
    versions whose page changed.

    Raises `RegistryError` where MLflow cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    problem = unreachable(settings)
    if problem is not None:
        raise RegistryError(problem)
    by_version: dict[int, list[Entry]] = {}
    for row in rows:
        by_version.setdefault(row.version, []).append(row)
    client, changed = connect(settings), []
    try:
        for registered in client.search_model_versions(f"name='{use_case}'"):
            own = by_version.get(int(registered.version), [])
            if own and str(own[-1].number) != registered.tags.get(ROW):
                _show(client, use_case, registered, own)
                changed.append(int(registered.version))
    except MlflowException as error:
        raise RegistryError(f"The releases cannot be shown in MLflow: {error}") from error
    return sorted(changed)


def online_metrics(row: Entry) -> dict[str, float]:
    """Every figure of a row's evidence that was measured on live traffic, by its name in MLflow."""
    return dict(_figures(row.evidence))


def _figures(evidence: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in (evidence.get("smoke") or {}).items():
        if _is_number(value):
            yield f"{ONLINE}.smoke.{name}", float(value)
    for finding in (evidence.get("verdict") or {}).get("findings", ()):
        if _is_number(finding.get("observed")):
            parts = [finding["rule"], finding.get("part") or "", finding.get("metric") or ""]
            name = ".".join([ONLINE, *(escape(part) for part in parts if part)])
            yield name, float(finding["observed"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _show(client: MlflowClient, name: str, registered: Any, rows: Sequence[Entry]) -> None:
    """The row's number is written last: a page that was left in the middle is written again."""
    if registered.run_id:
        metrics = [metric for row in rows for metric in _metrics(row)]
        for start in range(0, len(metrics), MOST_METRICS):
            client.log_batch(registered.run_id, metrics=metrics[start : start + MOST_METRICS])
    states = [row for row in rows if row.event in STATES]
    overridden = [row for row in rows if row.event == "override"]
    tags = {OVERRIDE: _why(overridden[-1])[:MOST_CHARACTERS]} if overridden else {}
    tags |= {
        HISTORY: json.dumps([_line(row) for row in rows[-SHOWN_ROWS:]], ensure_ascii=False),
        STATE: _state(states[-1]) if states else "",
        ROW: str(rows[-1].number),
    }
    for tag, value in tags.items():
        client.set_model_version_tag(name, registered.version, tag, value)


def _metrics(row: Entry) -> list[Metric]:
    """At the row's moment and with its number as step, so that writing them again adds none."""
    from mlflow.entities import Metric

    moment = int(row.recorded_at.timestamp() * 1000)
    return [Metric(name, value, moment, row.number) for name, value in online_metrics(row).items()]


def _state(row: Entry) -> str:
    moment = row.recorded_at.strftime("%Y-%m-%d %H:%M")
    return f"{STATES[row.event]} since {moment} UTC (row {row.number}, {row.actor})"


def _why(row: Entry) -> str:
    return f"by {row.actor} (row {row.number}): {row.reason}"


def _line(row: Entry) -> str:
    moment = row.recorded_at.strftime("%Y-%m-%d %H:%M:%S")
    return f"{row.number} {moment} {row.event} by {row.actor}"[:200]
