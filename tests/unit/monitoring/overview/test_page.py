"""The page over time: whole in one file, honest where something is missing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from cli.application import invoke
from include.files import write
from include.monitoring.overview.drawing import Chart, Line, Point, draw, scale_of, time_ticks
from include.monitoring.overview.facts import Facts
from include.monitoring.overview.marks import Mark, Records
from include.monitoring.overview.page import page, page_path, write_page, write_page_safely
from include.monitoring.overview.series import Series
from include.release.ledger import Ledger
from include.tables.store import TableStore
from tests.unit.alarms.samples import settings_in
from tests.unit.monitoring.overview.written import FLIGHTS, alarmed, month, write_month

START = datetime(2021, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def points(*values: float | None, bound: float | None = None) -> tuple[Point, ...]:
    return tuple(
        Point(
            START + DAY * place,
            START + DAY * (place + 1),
            value,
            None if bound is None or value is None else value - bound,
            None if bound is None or value is None else value + bound,
        )
        for place, value in enumerate(values)
    )


def chart(*lines: Line, days: int = 5, marks: tuple[Mark, ...] = (), **more: bool) -> Chart:
    return Chart("AUC", "per window", lines, START, START + DAY * days, marks, **more)


def test_a_month_without_labels_breaks_the_line_and_its_band():
    drawn = draw(chart(Line("AUC", "measured", points(0.7, 0.71, None, 0.72, 0.7, bound=0.02))))
    assert len(re.findall(r'class="line measured" d="M[\d. L]+"/><path class="dot', drawn)) == 2
    assert drawn.count('<polygon class="band measured"') == 2
    assert drawn.count('class="dot measured" d="M') == 4 + 1  # and the legend's
    assert "95 % interval" in drawn


def test_one_window_alone_is_a_dot_with_a_bar():
    drawn = draw(chart(Line("AUC", "measured", points(0.7, bound=0.02)), days=1))
    assert drawn.count('class="bar measured"') == 1
    assert "polygon" not in drawn
    assert "2021-01-01 to 2021-01-02: AUC 0.7 (0.68 to 0.72)" in drawn


def test_axes_hold_every_number_bound_and_limit():
    measured = Line("AUC", "measured", points(0.7, 0.74, bound=0.03))
    scale = scale_of(chart(measured, Line("limit", "limit", points(0.62, 0.62))))
    assert scale.low <= 0.62
    assert scale.high >= 0.77
    zero = scale_of(chart(Line("rows", "measured", points(900.0, 1000.0)), from_zero=True))
    assert zero.low == 0.0
    flat = scale_of(chart(Line("AUC", "measured", points(0.7, 0.7))))
    assert flat.low < 0.7 < flat.high


def test_equal_limits_of_neighbouring_windows_are_one_stroke():
    limits = Line("limit", "limit", points(0.6, 0.6, 0.6, 0.5, 0.5))
    drawn = draw(chart(Line("AUC", "measured", points(0.7, 0.7, 0.7, 0.7, 0.7)), limits))
    (steps,) = re.findall(r'class="line limit" d="(M0[^"]+)"', drawn)
    assert steps.count("M") == 2


def test_marks_are_drawn_told_and_stand_in_the_legend():
    marks = (
        Mark("release", START + DAY, "v2", "Version 2 in service, by <engineer>"),
        Mark("alarm", START + 2 * DAY, "performance", "The AUC fell."),
    )
    drawn = draw(chart(Line("AUC", "measured", points(0.7, 0.7)), marks=marks))
    assert "<title>2021-01-02 00:00: Version 2 in service, by &lt;engineer&gt;</title>" in drawn
    assert '<span class="name" style="left:20.00%">v2</span>' in drawn
    assert drawn.count(">release</li>") == drawn.count(">alarm</li>") == 1


def test_a_limit_alone_is_no_chart():
    limit = Line("limit", "limit", points(0.6, 0.6))
    drawn = draw(chart(Line("AUC", "measured", points(None, None)), limit))
    assert "No window has these numbers yet." in drawn
    assert "<svg" not in drawn


@pytest.mark.parametrize("days", [1, 2, 29, 61, 365, 1096, 4000])
def test_no_axis_has_more_ticks_than_a_phone_can_show(days):
    ticks = time_ticks(START, START + DAY * days)
    assert 2 <= len(ticks) <= 5
    assert len({text for _, text in ticks}) == len(ticks)


@pytest.mark.slow
def test_the_page_of_a_use_case_is_whole_in_one_file(tmp_path):
    settings = settings_in(tmp_path)
    tables = TableStore(settings.tables_uri)
    write_month(tables, 4)
    write_month(tables, 5, labels=False, model_version=2, report="report.html")
    write_month(tables, 6, **alarmed("The AUC <fell>."))
    Ledger(settings).append("promoted", FLIGHTS.name, 2, "d", "engineer", "better", {})
    text = write_page(settings, FLIGHTS).read_text(encoding="utf-8")
    assert not re.findall(r"<script|<link|<img|@import|url\(|https?://", text)
    assert f'href="{month(5).label}/report.html"' in text
    assert "The AUC &lt;fell&gt;." in text
    assert "The AUC <fell>." not in text
    assert "Version 2 in service, by engineer: better" in text
    assert "0.72 <small>(0.7 to 0.74)</small>" in text
    for title in ("AUC", "Error of the estimate", "Score and outcome", "Rows", "humidity"):
        assert f"<figcaption><b>{title}</b>" in text


def test_a_use_case_without_a_window_says_what_to_do():
    text = page(Facts(FLIGHTS, Series(), Records()))
    assert "Nothing has been monitored yet." in text
    assert "flightdeck monitor flight_delays --from DATE --to DATE" in text
    assert "Nothing has been released yet." in text


def test_names_of_any_alphabet_are_shown_and_never_read_as_html(tmp_path):
    use_case = FLIGHTS.model_copy(update={"title": "تأخير 航班 <b>", "task": "Опоздает ли рейс"})
    tables = TableStore(settings_in(tmp_path).tables_uri)
    write_month(tables, 4)
    write_page(settings_in(tmp_path), use_case, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<h1 dir="auto">تأخير 航班 &lt;b&gt;: monitoring</h1>' in text
    assert "Опоздает ли рейс" in text


def test_a_page_that_cannot_be_written_holds_nothing_back(tmp_path, caplog):
    settings = settings_in(tmp_path)
    write(settings.reports_dir / "monitoring", "a file where a folder belongs")
    write_page_safely(settings, FLIGHTS)
    assert "No page of monitoring of flight_delays" in caplog.text


def test_the_command_writes_the_page_and_says_where(tmp_path, capsys):
    settings = settings_in(tmp_path)
    assert invoke(["monitoring-page", "flight_delays"], settings) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == str(page_path(settings, FLIGHTS))
    assert "/flightdeck/reports/monitoring/flight_delays/index.html" in told[1]
    assert page_path(settings, FLIGHTS).is_file()
