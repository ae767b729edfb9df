"""The page of a use case's trainings beside each other: HTML in one file, without a script or
anything from elsewhere, in the look of the page of monitoring.

Every chart has the moment of the training below, and accepted and refused ones apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from include.experiments.runs import Training, trainings
from include.experiments.shown import heading, shown_metrics
from include.files import write
from include.monitoring.overview.drawing import Chart, Line, Point, Style, draw, number
from include.monitoring.overview.marks import PROMOTED, Mark, read_records, release_sentence
from include.monitoring.overview.parts import cards, document, rows_of
from include.reports import share
from include.settings import Settings
from include.spec import UseCase

PAGE_FILE = "index.html"
DECISIONS: tuple[tuple[str, Style], ...] = (("accepted", "measured"), ("refused", "second"))
COSTS = {
    "package.latency_p50_ms": ("Latency", "half of the answers to one row take less, milliseconds"),
    "package.bytes": ("Size of the package", "bytes"),
}
ACRONYMS = ("auc", "mae", "r2", "rmse")
MOST_TRAININGS = 200
LEAST_ROOM = timedelta(minutes=1)
"""Beside the first and the last training."""

Value = Callable[[Training], float | None]


def page_path(settings: Settings, use_case: UseCase) -> Path:
    """`reports/experiments/<use_case>/index.html`."""
    return settings.reports_dir / "experiments" / use_case.name / PAGE_FILE


def write_page(settings: Settings, use_case: UseCase, path: Path | None = None) -> Path:
    """Write the page from MLflow and the release ledger; where it lies.

    Raises `RegistryError` where nothing has been trained, and `LedgerBroken`.
    """
    target = path or page_path(settings, use_case)
    releases = read_records(settings, use_case.name).releases
    marks = [
        Mark("release", row.recorded_at, f"v{row.version}", release_sentence(row))
        for row in releases
        if row.event == PROMOTED
    ]
    write(target, page(use_case, trainings(settings, [use_case.name]), marks))
    share(settings, target)
    return target


def page(use_case: UseCase, every: Sequence[Training], marks: Sequence[Mark] = ()) -> str:
    """The whole page of the newest trainings."""
    listed = sorted(every, key=lambda training: training.started)[-MOST_TRAININGS:]
    charts = _Charts(listed, marks)
    parts = [_cards(every), charts.section("Performance", charts.of_metrics())]
    parts += [charts.section("Cost of an answer", charts.of_costs()), charts.of_parameters()]
    title = f"{use_case.title}: trainings"
    return document(title, use_case.task, f"{''.join(parts)}{_table(listed)}")


class _Charts:
    """Charts of the same trainings over the same span."""

    def __init__(self, listed: Sequence[Training], marks: Sequence[Mark]) -> None:
        moments = [training.started for training in listed]
        room = max(LEAST_ROOM, (moments[-1] - moments[0]) / 20)
        self.listed = listed
        self.start, self.end = moments[0] - room, moments[-1] + room
        self.marks = tuple(mark for mark in marks if self.start <= mark.moment <= self.end)

    def of_metrics(self) -> list[str]:
        """A chart for each metric of the problem, on the test split and on the golden set."""
        names = shown_metrics(training.metrics for training in self.listed)
        return [self._chart(_title(name), _about(name), _metric(name)) for name in names]

    def of_costs(self) -> list[str]:
        """What the package of each costs."""
        return [self._chart(title, about, _metric(name)) for name, (title, about) in COSTS.items()]

    def of_parameters(self) -> str:
        """A small chart for each parameter that is a number and not the same in all."""
        names = sorted({name for training in self.listed for name in training.parameters})
        charts = [
            self._chart(name, "", _parameter(name), small=True)
            for name in names
            if len({_parameter(name)(training) for training in self.listed} - {None}) > 1
        ]
        if not charts:
            return ""
        return f'<h2>Parameters that differ</h2><div class="inputs">{"".join(charts)}</div>'

    @staticmethod
    def section(title: str, charts: Iterable[str]) -> str:
        """A heading with its charts."""
        return f'<h2>{title}</h2><div class="charts">{"".join(charts)}</div>'

    def _chart(self, title: str, about: str, value: Value, *, small: bool = False) -> str:
        lines = [
            Line(decision, style, self._points(decision, value)) for decision, style in DECISIONS
        ]
        return draw(
            Chart(
                title,
                about,
                tuple(line for line in lines if line.points),
                self.start,
                self.end,
                () if small else self.marks,
                nothing="No training has it.",
                small=small,
            )
        )

    def _points(self, decision: str, value: Value) -> tuple[Point, ...]:
        return tuple(
            Point(training.started, training.started, value(training))
            for training in self.listed
            if training.decision == decision
        )


def _metric(name: str) -> Value:
    return lambda training: training.metrics.get(name)


def _parameter(name: str) -> Value:
    def value(training: Training) -> float | None:
        try:
            return float(training.parameters[name])
        except (KeyError, ValueError):
            return None

    return value


def _title(name: str) -> str:
    plain = name.rpartition(".")[2]
    return plain.upper() if plain in ACRONYMS else plain.capitalize()


def _about(name: str) -> str:
    return "on the golden set" if name.startswith("golden.") else "on the test split"


def _cards(every: Sequence[Training]) -> str:
    counted = {
        decision: sum(training.decision == decision for training in every)
        for decision in ("accepted", "refused", "failed")
    }
    newest = max(every, key=lambda training: training.started)
    return cards(
        [
            ("Trainings", f"{len(every)}", f"since {min(item.started for item in every):%Y-%m-%d}"),
            *((decision.capitalize(), f"{count}", "") for decision, count in counted.items()),
            (
                "Newest",
                escape(newest.name),
                f"{escape(newest.decision)}, {_moment(newest.started)}",
            ),
        ]
    )


def _table(listed: Sequence[Training]) -> str:
    metrics = shown_metrics(training.metrics for training in listed)
    headings = ("training", "decision", "trained", "data until", *map(heading, metrics), "why")
    rows = [
        (
            escape(training.name),
            escape(training.decision),
            _moment(training.started),
            escape(training.interval_end[:10]),
            *(number(training.metrics.get(name)) for name in metrics),
            escape(" ".join((*training.started_by, *training.reasons[:1]))),
        )
        for training in reversed(listed)
    ]
    return f"<h2>Trainings</h2>{rows_of(headings, rows)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
