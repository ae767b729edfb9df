"""The command `demo`: arguments, platform, replay, summary."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.demo.canary import release_rows
from cli.demo.replay import Replay
from cli.demo.state import DemoState
from cli.demo.summary import curl_line, print_summary, write_summary
from cli.demo.traffic import asking_hours, requests_of_hour
from cli.platform.airflow_api import AirflowApi
from cli.platform.lifecycle import up
from cli.platform.state import running_settings
from include.catalogue import load_use_case
from include.errors import PlatformError
from include.interval import Interval
from include.release.ledger import Ledger
from include.settings import Settings
from include.settings.services import ADDRESSES, VARIABLE
from include.spec import UseCase

USE_CASE = "flight_delays"
HISTORY_MONTHS = 3
DEFAULT_MONTHS = 2
"""The first has an alarm, a promotion and a roll-back, the second is quiet."""
ALL_MONTHS = 12 - HISTORY_MONTHS
WIDTH_WITHOUT_TERMINAL = 150


def demo(
    months: Annotated[
        int,
        typer.Option(
            min=1,
            max=ALL_MONTHS,
            metavar="N",
            help="How many months to replay, from April 2013 on.",
        ),
    ] = DEFAULT_MONTHS,
) -> None:
    """Replay months of real flights.

    Starts the platform, trains the first model on the winter, then sends every month's requests,
    scores, monitors, and retrains where an alarm asks for it. It goes on where an earlier call
    ended.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    started = time.monotonic()
    require_one_host(running_settings())
    settings = up(console)
    demo_dir = settings.home / "demo"
    state = DemoState.load(demo_dir / "state.json")
    earlier = state.seconds

    def save() -> None:
        state.seconds = earlier + time.monotonic() - started
        state.save(demo_dir / "state.json")

    use_case = load_use_case(USE_CASE)
    with console.status("replay", spinner="dots") as status:

        def say(text: str) -> None:
            elapsed = time.monotonic() - started
            line = f"[{int(elapsed) // 60:02d}:{int(elapsed) % 60:02d}] {text}"
            status.update(line)
            if not console.is_terminal or "live traffic" not in text:
                console.print(line, highlight=False)

        replay = Replay(use_case, settings, AirflowApi(settings), state, say, save)
        rows = run(replay, months)
    save()
    finish(console, use_case, settings, rows, state, demo_dir)


def require_one_host(settings: Settings) -> None:
    """Raise `PlatformError` where a part of the platform runs on another host."""
    missing = [name for name in ADDRESSES if name not in settings.runs]
    if missing:
        raise PlatformError(
            f"the demo plays the whole loop on one host, and {VARIABLE} is {settings.services},"
            f" without {', '.join(missing)}. Unset it, or set FLIGHTDECK_HOME to a home of the"
            " demo's own."
        )


def run(replay: Replay, months: int) -> list[dict[str, Any]]:
    """Prepare, then replay `months` months."""
    replay.prepare([month_interval(number) for number in range(1, HISTORY_MONTHS + 1)])
    first = HISTORY_MONTHS + 1
    return [replay.month(month_interval(number)) for number in range(first, first + months)]


def month_interval(number: int) -> Interval:
    """The month of 2013, in UTC."""
    end = datetime(2013 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return Interval(datetime(2013, number, 1, tzinfo=UTC), end)


def finish(
    console: Console,
    use_case: UseCase,
    settings: Settings,
    rows: list[dict[str, Any]],
    state: DemoState,
    demo_dir: Path,
) -> None:
    """Write and print the summary."""
    urls = {
        "airflow": settings.airflow_page,
        "mlflow": settings.mlflow_page,
        "endpoint": settings.serving_page,
        "report": settings.report_address(rows[-1]["report"]) or str(rows[-1]["report"]),
    }
    ledger = Ledger(settings).rows(use_case.name)
    releases = release_rows(ledger, list(state.releases))
    write_summary(demo_dir / "summary.json", rows, releases, state.seconds, urls)
    last_hour = list(asking_hours(month_interval(int(rows[-1]["month"][-2:]))))[-1]
    example = requests_of_hour(use_case, settings, last_hour)[0]
    print_summary(
        console, rows, releases, state.seconds, urls, curl_line(settings, use_case.name, example)
    )
