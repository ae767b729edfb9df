"""The tables of the page: releases, alarms and windows."""

from __future__ import annotations

from html import escape

from include.monitoring.overview.drawing import number
from include.monitoring.overview.facts import Facts
from include.monitoring.overview.marks import release_sentence
from include.monitoring.overview.parts import rows_of, table
from include.monitoring.overview.series import Measured, WindowFacts, metric_name
from include.monitoring.overview.versions import DeployedVersion

MOST_RELEASES, MOST_ALARMS, MOST_WINDOWS = 20, 20, 400


def versions(facts: Facts) -> str:
    """How each version has done that is or was in service."""
    rows = [
        (
            f"{item.version}",
            _role(item),
            _term(item),
            f"{item.windows}",
            f"{item.labelled:,} of {item.rows:,}",
            with_bounds(item.metric),
            with_bounds(item.estimated),
            number(item.before),
            escape(item.verdict or "-"),
            f"{item.alarmed}",
        )
        for item in facts.versions
    ]
    name = metric_name(facts.use_case)
    headings = ("version", "role", "in service", "windows", "labels", name, "estimated")
    note = "The newest numbers of each version, with 95 % intervals, beside its own test split."
    return table(
        "Versions",
        (*headings, "test split", "newest verdict", "alarms"),
        rows,
        MOST_RELEASES,
        "No version is or was in service.",
        note,
    )


def _role(version: DeployedVersion) -> str:
    share = f", {100 * version.share:.3g} %" if 0.0 < version.share < 1.0 else ""
    return f"{escape(version.role)}{share}"


def _term(version: DeployedVersion) -> str:
    if version.since is None:
        return "-"
    since = f"{version.since:%Y-%m-%d %H:%M}"
    return (
        f"since {since}" if version.until is None else f"{since} to {version.until:%Y-%m-%d %H:%M}"
    )


def releases(facts: Facts) -> str:
    """Who put which version in service and why, the newest first."""
    rows = [
        (f"{item.recorded_at:%Y-%m-%d %H:%M}", escape(release_sentence(item)))
        for item in reversed(facts.records.releases)
    ]
    note = (
        "Charts mark a release at its moment where that is within the windows, and otherwise where"
        " its version first scored."
    )
    return table(
        "Releases",
        ("recorded, UTC", "what"),
        rows,
        MOST_RELEASES,
        "Nothing has been released yet.",
        note,
    )


def alarms(facts: Facts) -> str:
    """What was and is wrong, the newest signal first."""
    rows = []
    for alarm in facts.records.alarms:
        window = (
            ""
            if alarm.window is None
            else f"{alarm.window.start:%Y-%m-%d} to {alarm.window.end:%Y-%m-%d}"
        )
        state = f'<span class="bad">{alarm.state}</span>' if alarm.is_open else alarm.state
        rows.append(
            (
                f"{alarm.raised_at:%Y-%m-%d %H:%M}",
                state,
                alarm.key.kind,
                window,
                escape(alarm.reason),
            )
        )
    headings = ("last seen, UTC", "state", "kind", "newest window", "why")
    return table("Alarms", headings, rows, MOST_ALARMS, "No alarm has been raised yet.")


def windows(facts: Facts) -> str:
    """Every number once more, for who reads rather than looks; each window links its report."""
    name = metric_name(facts.use_case)
    headings = (
        "from",
        "to",
        "version",
        "rows",
        "labels",
        name,
        "estimated",
        "drifted",
        "verdict",
        "report",
    )
    rows = []
    for item in facts.series.windows[: -MOST_WINDOWS - 1 : -1]:
        report = f'<a href="{item.interval.label}/report.html">report</a>' if item.report else "-"
        rows.append(
            (
                f"{item.interval.start:%Y-%m-%d %H:%M}",
                f"{item.interval.end:%Y-%m-%d %H:%M}",
                f"{item.version}",
                f"{item.rows:,}",
                f"{item.labelled:,}",
                with_bounds(item.metric),
                with_bounds(item.estimated),
                number(item.drifted_share, percent=True),
                verdict(item),
                report,
            )
        )
    listing, count = rows_of(headings, rows), len(facts.series.windows)
    shown = "All windows" if count <= MOST_WINDOWS else f"The newest {MOST_WINDOWS} windows"
    return f"<details><summary>{shown} as a table, with their reports</summary>{listing}</details>"


def with_bounds(measured: Measured | None) -> str:
    """A number with its interval, where there is one."""
    if measured is None:
        return "-"
    if measured.low is None or measured.high is None:
        return number(measured.value)
    bounds = f"({number(measured.low)} to {number(measured.high)})"
    return f"{number(measured.value)} <small>{bounds}</small>"


def verdict(window: WindowFacts) -> str:
    """What monitoring decided about a window."""
    if window.alarm:
        return f'<span class="bad">alarm: {escape(window.verdict)}</span>'
    return "no alarm" if window.verdict == "none" else f"{escape(window.verdict)}, no alarm"
