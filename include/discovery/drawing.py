"""Small pictures of a column: its distribution as bars or a box, its intervals as a line."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from include.discovery.columns import ColumnFacts, Picture, Shape
from include.monitoring.overview.drawing import Chart, Line, Point, draw, number

WIDE, HIGH = 240.0, 56.0
LEAST_SHOWN = 1e-9
MORE_STYLE = """
.facts { width: auto; margin: .4rem 0; } .facts th { color: var(--faint); font-weight: 400;
  padding-right: 1.2rem; } .facts td { overflow-wrap: anywhere; }
ul { margin: .2rem 0; padding-left: 1.1rem; }
.index td { overflow-wrap: anywhere; } .index td:nth-child(2), .index td:nth-child(5),
.index td:nth-child(6), .index td:nth-child(7) { white-space: nowrap; }
.columns table { min-width: 60rem; table-layout: fixed; } .columns td { overflow-wrap: anywhere; }
.columns th:nth-child(1) { width: 22%; } .columns th:nth-child(2) { width: 8%; }
.columns th:nth-child(3), .columns th:nth-child(4) { width: 27%; }
.columns td p { margin: .1rem 0; } .columns figure { border: 0; padding: 0 .6rem 0 0; }
.histogram { display: block; width: 100%; height: 3.5rem; } .histogram rect { fill: var(--measured);
  fill-opacity: .55; } .histogram path { stroke: var(--measured); stroke-width: 1.5; }
.ends { display: flex; justify-content: space-between; gap: .5rem; font-size: .72rem;
  color: var(--faint); }
.value { display: grid; grid-template-columns: 7rem 1fr 3.4rem; gap: .4rem; align-items: center;
  font-size: .78rem; } .value i { background: var(--measured); opacity: .55; height: .6rem; }
h2 { scroll-margin-top: 1rem; } :target { background: var(--panel); }
"""


def picture(column: ColumnFacts) -> str:
    """A column's distribution, or why there is none."""
    if column.hidden:
        return f'<span class="faint">not shown: {escape(column.hidden)}</span>'
    if column.picture is None:
        return '<span class="faint">no value yet</span>'
    about = f'<span class="faint">{escape(column.picture.about)}</span>'
    drawn = _DRAWN.get(column.picture.kind)
    return f"{drawn(column.picture) if drawn else ''}{about}"


def over_time(column: ColumnFacts) -> str:
    """A number's mean between its 5 % and 95 % quantiles by interval, a text's share of its
    commonest value, and the share of missing values where any is missing.
    """
    if not column.shapes:
        return '<span class="faint">no interval yet</span>'
    charts = []
    if any(shape.middle is not None for shape in column.shapes):
        is_number = any(shape.low is not None for shape in column.shapes)
        points = [Point(s.start, s.end, s.middle, s.low, s.high) for s in column.shapes]
        about = "mean, 5 % to 95 %" if is_number else "share of the commonest value"
        charts.append(_chart(about, "measured", points, column.shapes, percent=not is_number))
    if any(shape.nulls for shape in column.shapes):
        points = [Point(s.start, s.end, s.missing) for s in column.shapes]
        charts.append(_chart("missing", "estimated", points, column.shapes, percent=True))
    return "".join(charts) or '<span class="faint">none is missing in any interval</span>'


def _chart(
    about: str, style: str, points: Sequence[Point], shapes: Sequence[Shape], *, percent: bool
) -> str:
    line = Line(about, "estimated" if style == "estimated" else "measured", tuple(points))
    return draw(
        Chart(
            "",
            about,
            (line,),
            shapes[0].start,
            max(shape.end for shape in shapes),
            percent=percent,
            from_zero=percent,
            small=True,
        )
    )


def _bars(shown: Picture) -> str:
    highest = max(share for _, share in shown.bars) or 1.0
    width = WIDE / len(shown.bars)
    bars = "".join(
        f'<rect x="{place * width + 0.5:.1f}" y="{HIGH - HIGH * share / highest:.1f}"'
        f' width="{width - 1:.1f}" height="{HIGH * share / highest:.1f}">'
        f"<title>{escape(label)}: {number(share, percent=True)}</title></rect>"
        for place, (label, share) in enumerate(shown.bars)
        if share > LEAST_SHOWN
    )
    first, last = shown.bars[0][0], shown.bars[-1][0]
    ends = (first.partition(" to ")[0], last.rpartition(" to ")[2])
    if shown.kind == "hours":
        ends = ("0:00 UTC", "23:00 UTC")
    return _svg(bars, shown.about) + _ends(*ends)


def _box(shown: Picture) -> str:
    """The 5 % to 95 % range as a line, the middle half as a box, the median as a stroke."""
    low, q05, q25, median, q75, q95, high = shown.quantiles
    span = high - low

    def x(value: float) -> float:
        return WIDE * (value - low) / span if span else WIDE / 2

    half = HIGH / 2
    drawn = (
        f'<path d="M{x(q05):.1f} {half}H{x(q95):.1f}"/>'
        f'<rect x="{x(q25):.1f}" y="{HIGH * 0.25}" width="{max(x(q75) - x(q25), 1.0):.1f}"'
        f' height="{half}"/>'
        f'<path d="M{x(median):.1f} {HIGH * 0.15:.1f}V{HIGH * 0.85:.1f}"/>'
        f"<title>5 %: {number(q05)}, 25 %: {number(q25)}, median: {number(median)},"
        f" 75 %: {number(q75)}, 95 %: {number(q95)}</title>"
    )
    return _svg(drawn, shown.about) + _ends(number(low), f"median {number(median)}", number(high))


def _values(shown: Picture) -> str:
    highest = max(share for _, share in shown.bars) or 1.0
    return "".join(
        f'<div class="value"><span dir="auto">{escape(label)}</span>'
        f'<i style="width:{100 * share / highest:.1f}%"></i>'
        f"<span>{number(share, percent=True)}</span></div>"
        for label, share in shown.bars
    )


def _svg(drawn: str, about: str) -> str:
    return (
        f'<svg class="histogram" viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" preserveAspectRatio="none"'
        f' role="img" aria-label="{escape(f"distribution, {about}")}">{drawn}</svg>'
    )


def _ends(*texts: str) -> str:
    return f'<div class="ends">{"".join(f"<span>{escape(text)}</span>" for text in texts)}</div>'


_DRAWN = {
    "numbers": _bars,
    "hours": _bars,
    "values": _values,
    "quantiles": _box,
}
