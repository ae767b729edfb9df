"""What a reviewer reads on a version's page in MLflow: the verdict in words, then what decided it.

MLflow renders the Markdown of a description without folding (it drops <details>), so the page holds
of every gate, slice and group the line that decides; all lines lie in the run's table gates.json,
which it links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from include.registry.page_tables import (
    fairness_table,
    gate_table,
    metric_table,
    slice_table,
    table,
    where,
    worst_first,
)
from include.registry.promises import promises
from include.settings import Settings
from include.spec import UseCase
from include.started_by import sentences_of_tags
from include.verdict import Finding, GateVerdict

SHOWN_METRICS = (
    *("auc", "average_precision", "brier", "logloss", "ece", "mean_score", "observed_rate"),
    *("accuracy", "balanced_accuracy", "rmse", "mae", "r2", "bias", "decile_error", "mean_label"),
    "n",
)
ORIGIN = ("architecture", "snapshot", "snapshot_digest", "code_commit")
FILES = {
    "gates.json": "every check of every gate",
    "plots": "all plots",
    "attributions.json": "how much each input matters",
    "attribution_rows.json": "what made a few rows' answers",
    "validation": "validation of the training set with Data Docs",
    "data_summary.json": "training data, column by column",
    "causes.json": "causes with their evidence",
}
FIRST = (
    *("More", "Origin", "Gates, worst first", "What is allowed, and what raises the alarm"),
    *("Golden set", "Why it was trained"),
)
"""What a page that is too long keeps before the rest; named in the order in which room is given."""
LONGEST_PAGE = 4900
"""MLflow keeps 5,000 signs of a version's description (PostgreSQL refuses more)."""
CUT = "\n\nThe rest is in the run's gates.json."
HEAD_LINES = 6
"""Of a section with a table: two empty lines, the heading, another, and the table's head."""
LONGEST_REASON = 300
CALIBRATION_PLOT = "plots/calibration.png"
MOST_REASONS = 6


@dataclass(frozen=True)
class Place:
    """Where the page's training ran: the use case, MLflow's ids, and Airflow's address."""

    use_case: UseCase
    experiment_id: str
    mlflow_run_id: str
    airflow_url: str

    @classmethod
    def of(cls, settings: Settings, use_case: UseCase, experiment_id: str, run_id: str) -> Place:
        """The place of an MLflow run in the settings' environment."""
        return cls(use_case, experiment_id, run_id, settings.airflow_page)

    def artefact(self, file: str = "") -> str:
        """The address within MLflow's pages of a file of the run, or of the run itself."""
        run = f"#/experiments/{self.experiment_id}/runs/{self.mlflow_run_id}"
        return f"{run}/artifacts/{file}" if file else run

    def image(self, file: str) -> str:
        """The address of a figure's bytes, beside MLflow's pages."""
        return f"get-artifact?path={quote(file, safe='')}&run_uuid={self.mlflow_run_id}"


def version_description(
    verdict: GateVerdict, run_tags: Mapping[str, str], metrics: Mapping[str, float], place: Place
) -> str:
    """Markdown.

    `verdict` is that of `check_gates`, `run_tags` and `metrics` are the training run's.
    """
    findings = verdict.findings
    sections = {
        "Gates, worst first": gate_table(findings, metrics),
        "Worst slices": slice_table(findings),
        "Fairness": fairness_table(findings),
        "Golden set": _golden(findings, metrics),
        "What is allowed, and what raises the alarm": promises(place.use_case, metrics),
        "Why it was trained": _cause(run_tags),
        "More": _links(run_tags, place),
        "Metrics": metric_table(SHOWN_METRICS, metrics),
        "Origin": _origin(run_tags),
    }
    return _fitting(_headline(verdict), {name: text for name, text in sections.items() if text})


def _fitting(headline: str, sections: Mapping[str, str]) -> str:
    """As much as MLflow's databases take: the verdict, the links and the gates before the rest,
    and of a table that is too long its first rows.
    """
    room = LONGEST_PAGE - len(headline)
    fitted: dict[str, str] = {}
    for name in (*(name for name in FIRST if name in sections), *sections):
        if name in fitted:
            continue
        text = _cut(f"\n\n### {name}\n\n{sections[name]}", room)
        if text:
            fitted[name], room = text, room - len(text)
    return headline + "".join(fitted[name] for name in sections if name in fitted)


def _cut(section: str, room: int) -> str:
    """The section within `room` signs; empty where not even a row of its table fits."""
    if len(section) <= room:
        return section
    lines = section.split("\n")
    while lines and len("\n".join(lines)) + len(CUT) > room:
        lines.pop()
    return "\n".join(lines) + CUT if len(lines) > HEAD_LINES else ""


def refusal_note(reasons: Sequence[str]) -> str:
    """The description of a run that was refused before any gate judged it."""
    return "\n".join(["## Refused", "", *_listed(reasons)])


def version_tags(verdict: GateVerdict, run_tags: Mapping[str, str], digest: str) -> dict[str, str]:
    """`digest`, `decision`, `gate.<gate>` (passed or refused over all its rows) and where the
    version comes from.
    """
    tags = {"digest": digest, "decision": "accepted" if verdict.accepted else "refused"}
    for gate, passed in gate_outcomes(verdict.findings).items():
        tags[f"gate.{gate}"] = "passed" if passed else "refused"
    compared = verdict.champion_version
    tags["champion_compared"] = "none" if compared is None else str(compared)
    tags.update(
        {
            name.removeprefix("flightdeck."): value
            for name, value in run_tags.items()
            if name.startswith("flightdeck.")
        }
    )
    return tags


def gate_outcomes(findings: Sequence[Finding]) -> dict[str, bool]:
    """Per gate, whether all its findings passed."""
    outcomes: dict[str, bool] = {}
    for finding in findings:
        outcomes[finding.rule] = outcomes.get(finding.rule, True) and finding.passed
    return outcomes


def _headline(verdict: GateVerdict) -> str:
    findings, gates = verdict.findings, gate_outcomes(verdict.findings)
    unjudged, refused = len(verdict.not_judged), len(verdict.refused)
    judged = len(findings) - unjudged
    refusing = sum(not passed for passed in gates.values())
    counted = (
        f"{judged - refused} of {judged} checks passed in {len(gates)} gates;"
        f" {unjudged} were not judged (slice too small)."
    )
    if not verdict.accepted:
        title = f"## Refused by {refusing} of {len(gates)} gates" if refusing else "## Refused"
        return "\n".join([title, "", *_listed(verdict.reasons), "", counted])
    closest = next(
        (item for item in worst_first(findings) if item.outcome == "passed" and item.metric), None
    )
    sentences = [counted, _comparison(verdict)]
    if closest is not None:
        place = where(closest)
        sentences.append(f"Closest to its limit: {closest.rule}, {closest.metric} ({place}).")
    return f"## Accepted by all {len(gates)} gates\n\n" + " ".join(sentences)


def _comparison(verdict: GateVerdict) -> str:
    if verdict.champion_version is None:
        return "No champion existed: the bootstrap rule applied."
    reasons = [
        item.reason
        for item in verdict.findings
        if item.rule == "champion_improvement" and item.reason
    ]
    compared = f"Compared with champion version {verdict.champion_version} on the same test rows"
    return f"{compared}: {'; '.join(reasons)}." if reasons else f"{compared}."


def _listed(reasons: Sequence[str], file: str = "gates.json") -> list[str]:
    lines = [
        f"- {reason[:LONGEST_REASON]}".replace("<", "&lt;") for reason in reasons[:MOST_REASONS]
    ]
    left = len(reasons) - MOST_REASONS
    return [*lines, f"- and {left} more, in the run's {file}"] if left > 0 else lines


def _golden(findings: Sequence[Finding], metrics: Mapping[str, float]) -> str | None:
    rows = [
        (item.outcome, item.metric, item.observed, item.limit, metrics.get("golden.n"), item.reason)
        for item in findings
        if item.rule == "golden"
    ]
    if not rows:
        return None
    return table(("", "gain over the prior", "candidate", "limit", "rows", "reason"), rows)


def _cause(tags: Mapping[str, str]) -> str:
    start, end = (tags.get(f"flightdeck.interval_{bound}", "?") for bound in ("start", "end"))
    lines = _listed(sentences_of_tags(tags), "causes.json")
    return "\n".join([*lines, f"- Data interval: {start} to {end}"])


def _links(tags: Mapping[str, str], place: Place) -> str:
    run_id = tags.get("flightdeck.run_id", "")
    dag_id = place.use_case.dag_id(tags.get("flightdeck.process", "training"))
    airflow = f"{place.airflow_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"
    lines = [
        f"- [The run in MLflow]({place.artefact()}), [the run in Airflow]({airflow})",
        "- " + ", ".join(f"[{text}]({place.artefact(file)})" for file, text in FILES.items()),
    ]
    return "\n".join(lines) + f"\n\n![Calibration]({place.image(CALIBRATION_PLOT)})"


def _origin(tags: Mapping[str, str]) -> str:
    return "\n".join(
        f"- {name.replace('_', ' ')}: `{tags.get(f'flightdeck.{name}', 'unknown')}`"
        for name in ORIGIN
    )
