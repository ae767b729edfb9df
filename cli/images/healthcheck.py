"""Whether a container is well: `python -I healthcheck.py URL [COMPONENT]`, exit code 0 or 1.

The address must answer 200. With a component of Airflow (`scheduler`, `dag_processor`,
`triggerer`), which has no address of its own, it is Airflow's report on all of them, and must hold
a heartbeat of that one younger than `HEARTBEAT_SECONDS`. It runs every few seconds in every
container, so only the standard library is imported.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

TIMEOUT_SECONDS = 4.0
HEARTBEAT_SECONDS = 90.0
OK = 200


def problem(url: str, component: str | None = None, now: datetime | None = None) -> str | None:
    """What is wrong; None where all is well."""
    # The environment's proxies are for the world outside, not for the platform's own network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}"
    except OSError as error:
        return f"no answer from {url}: {error}"
    if status != OK:
        return f"{url} answers {status}"
    if component is None:
        return None
    try:
        report = json.loads(body)[component]
    except (ValueError, KeyError, TypeError):
        return f"{url} does not report {component}"
    return _heartbeat_problem(component, report, now or datetime.now(UTC))


def _heartbeat_problem(component: str, report: dict[str, Any], now: datetime) -> str | None:
    beat = report.get(f"latest_{component}_heartbeat")
    if report.get("status") != "healthy" or not beat:
        return f"{component} is {report.get('status')}, its last heartbeat {beat}"
    age = (now - datetime.fromisoformat(beat)).total_seconds()
    if age > HEARTBEAT_SECONDS:
        return f"the last heartbeat of {component} is {age:.0f} s old"
    return None


def main(arguments: list[str]) -> int:
    """Say what is wrong, if anything is."""
    url, component = arguments[0], arguments[1] if len(arguments) > 1 else None
    reason = problem(url, component)
    if reason is None:
        return 0
    sys.stderr.write(f"{reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
