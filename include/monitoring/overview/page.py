"""The page of a use case over time: HTML in one file, without a script or anything from elsewhere.

It lies beside the reports of the windows and links them. It is written anew by every run of
monitoring, and by `flightdeck monitoring-page`.
"""

from __future__ import annotations

import logging
from html import escape
from pathlib import Path

from include.errors import FlightdeckError
from include.files import write
from include.monitoring.overview import charts, listed
from include.monitoring.overview.facts import Facts, read_facts
from include.monitoring.overview.listed import verdict, with_bounds
from include.monitoring.overview.parts import cards, document
from include.monitoring.overview.series import WindowFacts, metric_name
from include.reports import share
from include.settings import Settings
from include.spec import UseCase

PAGE_FILE = "index.html"
LOG = logging.getLogger(__name__)


def page_path(settings: Settings, use_case: UseCase) -> Path:
    """`reports/monitoring/<use_case>/index.html`."""
    return settings.reports_dir / "monitoring" / use_case.name / PAGE_FILE


def write_page(settings: Settings, use_case: UseCase, path: Path | None = None) -> Path:
    """Write the page from what tables, ledger and alarms hold now; where it lies.

    Raises `FlightdeckError` where one of them cannot be read.
    """
    target = path or page_path(settings, use_case)
    write(target, page(read_facts(settings, use_case)))
    share(settings, target)
    return target


def write_page_safely(settings: Settings, use_case: UseCase) -> None:
    """Write the page where that is possible, and log why not: a picture holds no alarm back."""
    try:
        LOG.info("The page of monitoring: %s", write_page(settings, use_case))
    except (FlightdeckError, OSError) as error:
        LOG.warning("No page of monitoring of %s: %s", use_case.name, error)


def page(facts: Facts) -> str:
    """The whole page."""
    use_case, windows = facts.use_case, facts.series.windows
    title = f"{use_case.title}: monitoring"
    if windows:
        body = "".join(
            (
                _summary(facts),
                charts.performance(facts),
                charts.answers(facts),
                charts.inputs(facts),
                charts.endpoint(facts),
                listed.versions(facts),
                listed.releases(facts),
                listed.alarms(facts),
                listed.windows(facts),
            )
        )
    else:
        body = (
            _empty(facts) + listed.versions(facts) + listed.releases(facts) + listed.alarms(facts)
        )
    return document(title, use_case.task, body)


def _empty(facts: Facts) -> str:
    name = escape(facts.use_case.name)
    return (
        "<p><b>Nothing has been monitored yet.</b> A window can be once it has been scored:"
        f" <code>{name}__monitoring</code> does it by its schedule,"
        f" <code>.venv/bin/flightdeck monitor {name} --from DATE --to DATE</code> at once.</p>"
    )


def _summary(facts: Facts) -> str:
    windows, use_case = facts.series.windows, facts.use_case
    last = windows[-1]
    labelled = next((item for item in reversed(windows) if item.metric is not None), None)
    alarms = [alarm for alarm in facts.records.alarms if alarm.is_open]
    return cards(
        [
            (
                "Windows",
                f"{len(windows)}",
                f"{windows[0].interval.start:%Y-%m-%d} to {last.interval.end:%Y-%m-%d}",
            ),
            _in_service(facts),
            (
                "Newest window",
                verdict(last),
                f"from {last.interval.start:%Y-%m-%d}, version {last.version}",
            ),
            _newest_metric(metric_name(use_case), labelled),
            (
                "Open alarms",
                f'<span class="bad">{len(alarms)}</span>' if alarms else "none",
                escape(", ".join(sorted({alarm.key.kind for alarm in alarms}))),
            ),
        ]
    )


def _in_service(facts: Facts) -> tuple[str, str, str]:
    champion = next((item for item in facts.versions if item.role == "champion"), None)
    if champion is None:
        return ("In service", "no version", "by the release ledger")
    since = "" if champion.since is None else f"since {champion.since:%Y-%m-%d %H:%M} UTC"
    return ("In service", f"version {champion.version}", since)


def _newest_metric(name: str, window: WindowFacts | None) -> tuple[str, str, str]:
    if window is None:
        return (f"Newest {name}", "no labels yet", "performance can be estimated alone")
    when = f"{window.labelled:,} labels, from {window.interval.start:%Y-%m-%d}"
    return (f"Newest {name}", with_bounds(window.metric), when)
