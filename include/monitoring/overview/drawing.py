"""One chart over time as SVG within HTML: no script, nothing from elsewhere.

The drawing is stretched to whatever width there is, its lines are not, and its words are HTML: so
that they are read at the width of a phone as well, and take the reader's colours. A library draws
pictures of one width and one background.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import Literal

from include.monitoring.overview.marks import Mark

WIDE, HIGH = 1000.0, 400.0
MOST_TICKS = 4
MOST_DOTS = 80
FEW_MARKS = 20
TINY = 1e-12
EDGE = 0.08 * WIDE
"""Nearer to the left edge a moment's text begins at it."""
LABEL_ROOM = 0.07
"""The share of the width that the name of a release needs."""
MONTH = timedelta(days=30.44)
STEPS: tuple[tuple[timedelta, int], ...] = (
    *((MONTH * count, count) for count in (1, 2, 3, 6, 12, 24, 60, 120)),
)
Style = Literal["measured", "estimated", "second", "promised", "limit"]
WORDS = {"release": "release", "alarm": "alarm"}


@dataclass(frozen=True)
class Point:
    """A number of one window, None where there is none; `start` and `end` are the window's."""

    start: datetime
    end: datetime
    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def middle(self) -> datetime:
        """Where it is drawn."""
        return self.start + (self.end - self.start) / 2


@dataclass(frozen=True)
class Line:
    """A series: what it is called, how it looks, and its points. What was promised and limits are
    drawn as steps over their windows, everything else from middle to middle, with gaps.
    """

    name: str
    style: Style
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn: `percent` writes numbers as per cent, `from_zero` begins the axis there, and
    goes at least as far as `reaches`. One that is `small` has neither legend nor names of marks.
    """

    title: str
    about: str
    lines: tuple[Line, ...]
    start: datetime
    end: datetime
    marks: tuple[Mark, ...] = ()
    percent: bool = False
    from_zero: bool = False
    nothing: str = "No window has these numbers yet."
    small: bool = False
    reaches: float = 0.0


@dataclass(frozen=True)
class Scale:
    """From numbers and moments to the drawing's units."""

    start: datetime
    end: datetime
    low: float
    high: float
    ticks: tuple[float, ...] = field(default=())

    def x(self, moment: datetime) -> float:
        """From 0 to `WIDE`."""
        return WIDE * ((moment - self.start) / (self.end - self.start))

    def y(self, value: float) -> float:
        """From 0, which is the top, to `HIGH`."""
        return HIGH * (self.high - value) / (self.high - self.low)


def draw(chart: Chart) -> str:
    """The chart as a `<figure>`; without a number it says that there is none."""
    head = f"<figcaption><b>{escape(chart.title)}</b> {escape(chart.about)}</figcaption>"
    lines = [line for line in chart.lines if any(_numbers([line]))]
    if not lines or all(line.style in ("limit", "promised") for line in lines):
        return f'<figure class="chart">{head}<p class="none">{escape(chart.nothing)}</p></figure>'
    scale = scale_of(chart)
    kind, legend, names = "chart small", "", ""
    if not chart.small:
        kind, legend, names = "chart", _legend(lines, chart.marks), _names(chart.marks, scale)
    return (
        f'<figure class="{kind}">{head}{legend}<div class="plot">{_y_axis(scale, chart)}'
        f'<div class="area">{_svg(chart, lines, scale)}{names}</div>{_x_axis(scale, chart)}'
        "</div></figure>"
    )


def scale_of(chart: Chart) -> Scale:
    """Axes that hold every number, bound and limit, and end at round numbers."""
    numbers = [value for value in _numbers(chart.lines) if value is not None]
    low, high = min(numbers), max(numbers)
    if chart.from_zero:
        low, high = min(low, 0.0), max(high, chart.reaches)
    if high - low < TINY:
        room = abs(high) * 0.1 or 1.0
        low, high = (0.0, high + room) if chart.from_zero else (low - room, high + room)
    step = _round_step((high - low) / (2 if chart.small else 4))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(step * count for count in range(first, last + 1))
    return Scale(chart.start, chart.end, ticks[0], ticks[-1], ticks)


def time_ticks(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """At most four moments that begin a month, or parts of a span that is too short for two of
    them.
    """
    for length, months in STEPS:
        if (end - start) / length <= MOST_TICKS:
            ticks = list(_months(start, end, months))
            if len(ticks) > 1:
                return [(moment, f"{moment:%Y-%m}") for moment in ticks]
            break
    parts = 2
    span = (end - start) / parts
    form = "%Y-%m-%d" if end - start > timedelta(days=parts) else "%m-%d %H:%M"
    moments = [start + span * part for part in range(parts)]
    return [(moment, f"{moment:{form}}") for moment in moments]


def _months(start: datetime, end: datetime, step: int) -> Iterator[datetime]:
    number = start.year * 12 + start.month - 1
    number += -number % step
    while True:
        moment = datetime(number // 12, number % 12 + 1, 1, tzinfo=start.tzinfo)
        if moment >= end:
            return
        if moment >= start:
            yield moment
        number += step


def _round_step(least: float) -> float:
    size = 10.0 ** math.floor(math.log10(least))
    return next(size * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if size * factor >= least)


def _numbers(lines: Iterable[Line]) -> Iterator[float]:
    for line in lines:
        for point in line.points:
            yield from (n for n in (point.value, point.low, point.high) if n is not None)


def _svg(chart: Chart, lines: Sequence[Line], scale: Scale) -> str:
    grid = "".join(
        f'<path class="grid{"" if _clean(tick) else " zero"}"'
        f' d="M0 {scale.y(tick):.1f}H{WIDE:.0f}"/>'
        for tick in scale.ticks
    )
    crowd = " many" if len(chart.marks) > FEW_MARKS else ""
    marks = "".join(
        f'<path class="{mark.kind}{crowd}" d="M{scale.x(mark.moment):.1f} 0V{HIGH:.0f}">'
        f"<title>{escape(_told(mark))}</title></path>"
        for mark in chart.marks
    )
    bands = "".join(_band(line, scale) for line in lines)
    drawn = "".join(_line(line, scale, chart) for line in lines)
    return (
        f'<svg viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(f"{chart.title} over time")}">{grid}{bands}{marks}{drawn}</svg>'
    )


def _told(mark: Mark) -> str:
    return f"{mark.moment:%Y-%m-%d %H:%M}: {mark.about}"


def _runs(points: Sequence[Point], *, bounds: bool = False) -> Iterator[list[Point]]:
    """Neighbouring points that have a number, or both bounds."""
    run: list[Point] = []
    for point in points:
        there = (
            (point.low is not None and point.high is not None)
            if bounds
            else point.value is not None
        )
        if there:
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _band(line: Line, scale: Scale) -> str:
    """The intervals: a band between neighbours, of one window alone a bar."""
    drawn = []
    for run in _runs(line.points, bounds=True):
        upper = [(scale.x(item.middle), scale.y(item.high or 0.0)) for item in run]
        lower = [(scale.x(item.middle), scale.y(item.low or 0.0)) for item in run]
        if len(run) == 1:
            (x, top), (_, bottom) = upper[0], lower[0]
            drawn.append(f'<path class="bar {line.style}" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>')
            continue
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *lower[::-1]])
        drawn.append(f'<polygon class="band {line.style}" points="{corners}"/>')
    return "".join(drawn)


def _line(line: Line, scale: Scale, chart: Chart) -> str:
    if line.style in ("promised", "limit"):
        return f'<path class="line {line.style}" d="{_steps(line, scale)}"/>'
    drawn = []
    for run in _runs(line.points):
        places = [f"{scale.x(item.middle):.1f} {scale.y(item.value or 0.0):.1f}" for item in run]
        if len(run) > 1:
            drawn.append(f'<path class="line {line.style}" d="M{" L".join(places)}"/>')
        if len(line.points) <= MOST_DOTS or len(run) == 1:
            # A line without length and with round ends is a dot, which stretching leaves round.
            drawn += [
                f'<path class="dot {line.style}" d="M{place}h0"><title>'
                f"{escape(_about(line, item, chart))}</title></path>"
                for place, item in zip(places, run, strict=True)
            ]
    return "".join(drawn)


def _steps(line: Line, scale: Scale) -> str:
    """One stroke over all neighbouring windows with the same value, or its dashes would begin anew
    in each of them.
    """
    strokes: list[tuple[datetime, datetime, float]] = []
    for item in line.points:
        if item.value is None:
            continue
        if strokes and strokes[-1][1:] == (item.start, item.value):
            strokes[-1] = (strokes[-1][0], item.end, item.value)
        else:
            strokes.append((item.start, item.end, item.value))
    return "".join(
        f"M{scale.x(start):.1f} {scale.y(value):.1f}H{scale.x(end):.1f}"
        for start, end, value in strokes
    )


def _about(line: Line, point: Point, chart: Chart) -> str:
    bounds = ""
    if point.low is not None and point.high is not None:
        low, high = (number(part, percent=chart.percent) for part in (point.low, point.high))
        bounds = f" ({low} to {high})"
    value = number(point.value, percent=chart.percent)
    return f"{point.start:%Y-%m-%d} to {point.end:%Y-%m-%d}: {line.name} {value}{bounds}"


def number(value: float | None, *, percent: bool = False) -> str:
    """A number in a few characters; a dash for none."""
    if value is None:
        return "-"
    if percent:
        return f"{100.0 * value:.3g} %"
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


def _legend(lines: Sequence[Line], marks: Sequence[Mark]) -> str:
    entries: list[tuple[str, str]] = [(line.style, line.name) for line in lines if line.name]
    bounded = [line.style for line in lines if any(point.low is not None for point in line.points)]
    entries += [("band " + style, "95 % interval") for style in bounded[-1:]]
    there = {mark.kind for mark in marks}
    entries += [(kind, word) for kind, word in WORDS.items() if kind in there]
    return (
        '<ul class="legend">'
        + "".join(
            f'<li><svg viewBox="0 0 28 10" aria-hidden="true">{_key(style)}</svg>'
            f"{escape(name)}</li>"
            for style, name in entries
        )
        + "</ul>"
    )


def _key(style: str) -> str:
    if style.startswith("band"):
        return f'<rect class="{style}" x="2" y="0" width="24" height="10"/>'
    if style in WORDS:
        return f'<path class="{style}" d="M14 0V10"/>'
    dot = "" if style in ("promised", "limit") else f'<path class="dot {style}" d="M14 5h0"/>'
    return f'<path class="line {style}" d="M1 5H27"/>{dot}'


def _names(marks: Sequence[Mark], scale: Scale) -> str:
    """The names of releases above the drawing, as many as there is room for."""
    names, taken = [], -1.0
    for mark in marks:
        place = scale.x(mark.moment) / WIDE
        if mark.kind == "release" and place - taken >= LABEL_ROOM:
            names.append(
                f'<span class="name" style="left:{100 * place:.2f}%">{escape(mark.text)}</span>'
            )
            taken = place
    return "".join(names)


def _y_axis(scale: Scale, chart: Chart) -> str:
    shown = (
        scale.ticks[:: max(1, (len(scale.ticks) - 1) // 5 + 1)]
        if len(scale.ticks) > 7
        else scale.ticks
    )
    ticks = "".join(
        f'<span style="top:{100 * scale.y(tick) / HIGH:.2f}%">'
        f"{number(_clean(tick), percent=chart.percent)}</span>"
        for tick in shown
    )
    return f'<div class="y">{ticks}</div>'


def _clean(tick: float) -> float:
    return 0.0 if abs(tick) < TINY else tick


def _x_axis(scale: Scale, chart: Chart) -> str:
    moments = time_ticks(scale.start, scale.end)
    if chart.small:
        moments = moments[:1]
    ticks = "".join(
        f"<span{' class=first' if scale.x(moment) < EDGE else ''}"
        f' style="left:{100 * scale.x(moment) / WIDE:.2f}%">{text}</span>'
        for moment, text in moments
    )
    return f'<div class="x">{ticks}</div>'
