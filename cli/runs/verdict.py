"""What a run came to, as it is printed: accepted, refused or failed, with the reasons whole."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cli.runs.dates import FORM, FROM, TO
from cli.tables import console, print_table
from include.experiments.shown import SHOWN
from include.interval import Interval
from include.verdict import Finding, Verdict

State = Literal["accepted", "refused", "failed"]
ACCEPTED, FAILED, REFUSED, INTERRUPTED = 0, 1, 3, 130
EXIT_CODES: Mapping[State, int] = {"accepted": ACCEPTED, "failed": FAILED, "refused": REFUSED}
MOST_NOTES = 6
FIGURES = ("rows", "labelled", "drift", *SHOWN, "bias", "mean_score", "observed_rate")
GATE_HEADINGS = ("gate", "metric", "observed", "limit")


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    `title` says which run. `by` names the steps that refused or failed, `reasons` why, each a
    sentence or more. `results` are those of its steps, as JSON by their names, and `where` is a
    place with more about it.
    """

    title: str
    state: State
    by: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    results: Mapping[str, Any] | None = None
    where: str = ""

    @property
    def headline(self) -> str:
        """The title, and what it came to."""
        if self.state == "accepted":
            alarm = (self.results or {}).get("decide_alarm", {}).get("alarm") is True
            return f"{self.title}: {'done, with an alarm' if alarm else 'accepted'}."
        steps = f" by {', '.join(self.by)}" if self.state == "refused" else ""
        steps = f" in {', '.join(self.by)}" if self.state == "failed" and self.by else steps
        count = "1 reason" if len(self.reasons) == 1 else f"{len(self.reasons)} reasons"
        return f"{self.title}: {self.state}{steps}, for {count}:"


def progress() -> Callable[[str], None]:
    """A function that prints a text behind the minutes and seconds since now, folded to the
    terminal's width below the text's own indentation.
    """
    started = time.monotonic()

    def say(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        indent = " " * (len(text) - len(text.lstrip()))
        print_folded(f"[{minutes:02d}:{seconds:02d}] {indent}", text)

    return say


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0 where all are accepted, 1 where one failed, else 3."""
    states = {outcome.state for outcome in outcomes}
    return EXIT_CODES[
        "failed" if "failed" in states else "refused" if "refused" in states else "accepted"
    ]


def tell_of_the_rest(intervals: Sequence[Interval], outcomes: Sequence[Outcome]) -> None:
    """Print how to go on where not every interval was reached."""
    left = intervals[len(outcomes) :]
    if left:
        start = intervals[len(outcomes) - 1].start
        print(f"{len(left)} of {len(intervals)} intervals are left. Go on with:")
        print(f"  {FROM} {start:{FORM}} {TO} {left[-1].end:{FORM}}", flush=True)


def print_outcome(outcome: Outcome) -> None:
    """Print the headline, the reasons and the figures, folded to the terminal's width."""
    print_folded("", outcome.headline)
    for number, reason in enumerate(outcome.reasons, 1):
        print_folded(f"{number:3d}. ", reason)
    for name, text in facts(outcome.results or {}):
        print_folded(f"  {name:<11}", text)
    gates = _gates(outcome.results or {})
    if gates:
        print_table("Gates", GATE_HEADINGS, gates)
    if outcome.where:
        print_folded("  more       ", outcome.where)


def facts(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A name and a sentence for what the steps did that was not refused."""
    for name, describe in DESCRIBED.items():
        if isinstance(results.get(name), Mapping):
            yield from describe(results[name])


def _delivery(verdict: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    notes = [*verdict.get("warnings", ()), *verdict.get("notes", ())]
    for note in notes[:MOST_NOTES]:
        yield "note", str(note)
    if len(notes) > MOST_NOTES:
        yield "note", f"{len(notes) - MOST_NOTES} more in {verdict['report']}"
    if verdict.get("accepted") is False and verdict.get("data_docs"):
        yield "rows", f"the refused rows are shown by {verdict['data_docs']}"


def _published(published: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, table in published["tables"].items():
        yield "published", f"{table['rows']:,} rows to {name}"


def _snapshot(built: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    snapshot = built["snapshot"]
    yield "snapshot", f"{snapshot['rows']:,} rows, {snapshot['name']}@{snapshot['version']}"


def _evaluated(evaluated: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    whole = {
        name.removeprefix("test."): value
        for name, value in evaluated["metrics"].items()
        if "." not in name.removeprefix("test.") and isinstance(value, int | float)
    }
    if whole:
        figures = (f"{name} {value:.4g}" for name, value in sorted(whole.items()))
        yield "test split", ", ".join(figures)


def _registered(registered: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "registered", f"version {registered['version']}, as challenger"


def _released(released: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    before = released["previous_version"]
    yield (
        "in service",
        f"version {released['version']}, row {released['ledger_row']} of the ledger"
        + ("" if before is None else f"; before it version {before}"),
    )


def _scored(scored: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    text = f"{scored['rows']:,} rows with version {scored['version']}; mean score"
    positive = scored["positive_decisions"]
    decided = "" if positive is None else f", {positive:,} positive decisions"
    yield "scored", f"{text} {scored['mean_score']:.4g}{decided}"


def _releases(checked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    findings = Verdict.model_validate({"findings": checked["findings"]}).findings
    for finding in findings:
        if finding.outcome == "not judged" or "repaired" in (finding.example or {}):
            yield "releases", finding.sentence


def _alarm(decided: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for reason in decided["reasons"]:
        yield "alarm" if decided["alarm"] else "found", str(reason)
    for sentence in decided["not_judged"]:
        yield "not judged", str(sentence).removeprefix("Not judged: ")
    figures = {name: decided["facts"].get(name) for name in FIGURES}
    yield (
        "figures",
        ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in figures.items()
            if value is not None
        ),
    )


def _announced(announced: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if announced["extra"].get("cause_id"):
        what = "recorded for the next training" if announced["announce"] else "no training"
        yield "cause", f"{what}: {announced['reason']}"


DESCRIBED: Mapping[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {
    "validate_data": _delivery,
    "publish_tables": _published,
    "build_snapshot": _snapshot,
    "validate_snapshot": _delivery,
    "evaluate_model": _evaluated,
    "register_model": _registered,
    "promote_version": _released,
    "publish_predictions": _scored,
    "check_releases": _releases,
    "decide_alarm": _alarm,
    "propose_alarm": _announced,
    "raise_alarm": _announced,
    "check_new_data": _announced,
}
"""What is told of a step's result, by the names of step and task."""


def _gates(results: Mapping[str, Any]) -> list[Sequence[Any]]:
    """The gates on whole splits that have a number, for a candidate that passed them."""
    verdict = results.get("check_gates")
    if not verdict or verdict["accepted"] is not True:
        return []
    findings = Verdict.model_validate({"findings": verdict["findings"]}).findings
    return [
        (item.rule, item.metric, item.observed, item.limit) for item in findings if _is_figure(item)
    ]


def _is_figure(finding: Finding) -> bool:
    return (
        not finding.part
        and bool(finding.metric)
        and isinstance(finding.observed, int | float)
        and isinstance(finding.limit, int | float)
    )


def print_folded(head: str, text: str) -> None:
    """Print a text behind its head, folded to the terminal's width; a word stays whole."""
    lines = textwrap.wrap(
        " ".join(text.split()),
        max(console().width - len(head), 20),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for number, line in enumerate(lines or [""]):
        print(f"{' ' * len(head) if number else head}{line}", flush=True)
