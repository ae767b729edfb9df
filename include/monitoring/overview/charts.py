"""The charts of the page: performance, answers and labels, inputs, the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from include.monitoring.overview.drawing import Chart, Line, Point, Style, draw
from include.monitoring.overview.facts import Facts
from include.monitoring.overview.series import Measured, WindowFacts, metric_name
from include.problems.registry import strategy_of

CHANCE = ("probability", "several")
SURELY = (
    "An alarm on the metric, or on the gap below, asks for more than the limit, and for more than"
    " chance makes of so few days or rows."
)


def performance(facts: Facts) -> str:
    """The headline metric with its interval beside its estimate, and the estimate's error."""
    name = metric_name(facts.use_case)
    estimates = strategy_of(facts.use_case).estimated_metric is not None
    lines = [
        _value(facts, "test split", "promised", lambda item: item.before),
        _value(facts, "limit", "limit", lambda item: item.worst),
        _measured(facts, f"{name}, by labels", "measured", lambda item: item.metric),
    ]
    if estimates:
        lines.insert(
            2,
            _measured(facts, "estimated without labels", "estimated", lambda item: item.estimated),
        )
    charts = [
        _chart(
            facts,
            name,
            "per window",
            lines,
            nothing="No labels have come yet, and nothing is estimated.",
        )
    ]
    if strategy_of(facts.use_case).estimated_metric == strategy_of(facts.use_case).headline_metric:
        errors = _value(facts, "estimate less truth", "estimated", lambda item: item.error)
        nothing = "No window has both an estimate and labels."
        charts.append(
            _chart(
                facts,
                "Error of the estimate",
                "estimate less truth, on the same rows",
                [errors],
                nothing=nothing,
                from_zero=True,
            )
        )
    return _section("Performance", charts) + f'<p class="faint">{SURELY}</p>'


def answers(facts: Facts) -> str:
    """What was answered and what came true, and of how many rows that is known."""
    kind = strategy_of(facts.use_case).score_kind
    names = {
        "probability": ("mean score", "observed rate"),
        "several": ("mean probability of the predicted class", "accuracy"),
        "value": ("mean score", "mean label"),
    }[kind]
    chance = kind in CHANCE
    charts = [
        _chart(
            facts,
            "Score and outcome",
            "of the rows whose label has come",
            [
                _value(facts, names[0], "measured", lambda item: item.score),
                _value(facts, names[1], "second", lambda item: item.outcome),
            ],
            percent=chance,
        ),
        _chart(
            facts,
            "Gap",
            f"{names[0]} less {names[1]}",
            _gap_lines(facts, chance=chance),
            percent=chance,
            from_zero=True,
        ),
        _chart(
            facts,
            "Rows",
            "scored, and with a label",
            [
                _value(facts, "scored", "measured", lambda item: float(item.rows)),
                _value(facts, "with a label", "second", lambda item: float(item.labelled)),
            ],
            from_zero=True,
        ),
    ]
    return _section("Scores and labels", charts)


def _gap_lines(facts: Facts, *, chance: bool) -> list[Line]:
    gap = _measured(facts, "gap", "measured", lambda item: item.gap)
    if not chance:
        return [gap]
    limit = facts.use_case.monitoring.max_calibration_gap
    limits = [
        _value(facts, "limit", "limit", lambda _: limit),
        _value(facts, "", "limit", lambda _: -limit),
    ]
    return [*limits, gap]


def inputs(facts: Facts) -> str:
    """How many inputs have drifted, and each input's distance, the farthest first."""
    limits = facts.use_case.monitoring
    share = _chart(
        facts,
        "Inputs that have drifted",
        "share of all inputs",
        [
            _value(facts, "drift from above here", "limit", lambda _: limits.drifted_share),
            _value(facts, "share", "measured", lambda item: item.drifted_share),
        ],
        percent=True,
        from_zero=True,
        nothing="Drift could not be judged in any window.",
    )
    ends = {item.interval.start: item.interval.end for item in facts.series.windows}
    farthest = sorted(
        facts.series.columns.items(),
        key=lambda column: -max((item.effect or 0.0 for item in column[1]), default=0.0),
    )
    effects = [item.effect or 0.0 for _, column in farthest for item in column]
    charts, reach = [], max([limits.drift_effect, *effects])
    for name, distances in farthest:
        points = tuple(
            Point(item.interval_start, ends[item.interval_start], item.effect)
            for item in distances
            if item.interval_start in ends
        )
        limit = tuple(Point(item.start, item.end, limits.drift_effect) for item in points)
        lines = (Line("limit", "limit", limit), Line("distance", "measured", points))
        charts.append(draw(_small(facts, name, lines, reach)))
    note = (
        "Hellinger distance from the training data, 0 to 1, the farthest first; the dotted line is"
        f" the limit of {limits.drift_effect:g}. An input counts as drifted when it is surely past"
        f" it, in at least {limits.persistent_windows} of the last {limits.sliding_windows}"
        " windows."
    )
    return (
        _section("Inputs and score", [share])
        + f'<p class="faint">{note}</p><div class="inputs">{"".join(charts)}</div>'
    )


def _small(facts: Facts, name: str, lines: tuple[Line, ...], reach: float) -> Chart:
    start, end = _span(facts)
    alarms = tuple(mark for mark in facts.marks if mark.kind == "alarm")
    return Chart(
        name,
        "",
        lines,
        start,
        end,
        alarms,
        from_zero=True,
        small=True,
        nothing="not judged yet",
        reaches=reach,
    )


def endpoint(facts: Facts) -> str:
    """Latency and failed requests, where the endpoint was sampled."""
    samples = facts.series.samples
    if not samples:
        return ""
    limits = facts.use_case.monitoring.serving
    start, end = _span(facts)
    moments = [item.moment for item in samples]
    begins = [start, *moments[:-1]]
    pairs = [
        (begin, item)
        for begin, item in zip(begins, samples, strict=True)
        if start <= begin < item.moment <= end
    ]
    latency = tuple(Point(begin, item.moment, item.p99_milliseconds) for begin, item in pairs)
    failed = tuple(Point(begin, item.moment, item.failed_share) for begin, item in pairs)
    charts = []
    for title, about, points, limit, percent in (
        (
            "Latency",
            "99 % of the answers took less, in milliseconds",
            latency,
            limits.max_p99_milliseconds,
            False,
        ),
        (
            "Failed requests",
            "share of the requests that ended as 5xx",
            failed,
            limits.max_error_share,
            True,
        ),
    ):
        lines = [Line(title.lower(), "measured", points)]
        if limit is not None:
            bounds = tuple(Point(item.start, item.end, limit) for item in points)
            lines.insert(0, Line("alarms from here", "limit", bounds))
        charts.append(
            _chart(
                facts,
                title,
                about,
                lines,
                percent=percent,
                from_zero=True,
                nothing="The endpoint answered nothing.",
            )
        )
    return _section("Endpoint", charts)


def _section(title: str, charts: Iterable[str]) -> str:
    return f'<h2>{title}</h2><div class="charts">{"".join(charts)}</div>'


def _span(facts: Facts) -> tuple[datetime, datetime]:
    windows = facts.series.windows
    return windows[0].interval.start, max(item.interval.end for item in windows)


def _chart(
    facts: Facts,
    title: str,
    about: str,
    lines: Sequence[Line],
    *,
    percent: bool = False,
    from_zero: bool = False,
    nothing: str = "No labels have come yet.",
) -> str:
    start, end = _span(facts)
    return draw(
        Chart(title, about, tuple(lines), start, end, facts.marks, percent, from_zero, nothing)
    )


def _measured(
    facts: Facts, name: str, style: Style, read: Callable[[WindowFacts], Measured | None]
) -> Line:
    points = []
    for item in facts.series.windows:
        measured = read(item)
        numbers = (
            (None, None, None)
            if measured is None
            else (measured.value, measured.low, measured.high)
        )
        points.append(Point(item.interval.start, item.interval.end, *numbers))
    return Line(name, style, tuple(points))


def _value(
    facts: Facts, name: str, style: Style, read: Callable[[WindowFacts], float | None]
) -> Line:
    return Line(
        name,
        style,
        tuple(
            Point(item.interval.start, item.interval.end, read(item))
            for item in facts.series.windows
        ),
    )
