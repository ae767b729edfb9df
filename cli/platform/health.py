"""Is each process well? Asked of the process itself, over HTTP or through Airflow's heartbeats, not
of the supervisor alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from cli.platform.postgres import refusal
from cli.platform.processes import HEALTH_PATHS, Process
from cli.platform.supervision import UP, ProcessState
from cli.workers.celery_workers import silence
from include.settings.services import Neighbour
from include.tls import trusted

TIMEOUT_SECONDS = 10.0
BROKER = "AIRFLOW__CELERY__BROKER_URL"


@dataclass(frozen=True)
class Health:
    """A verdict and, when it is bad, the reason."""

    ok: bool
    reason: str = ""


def check(processes: Iterable[Process], states: Mapping[str, ProcessState]) -> dict[str, Health]:
    """Health of every process by name. Each address is asked once; nothing is raised."""
    answers: dict[str, httpx.Response | str] = {}
    verdicts: dict[str, Health] = {}
    # The environment's proxies are for the world outside, not for our own loopback.
    with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=trusted()) as client:
        for process in processes:
            state = states.get(process.name)
            if state is None or state.state != UP:
                verdicts[process.name] = Health(
                    ok=False, reason="not running" if state is None else state.state.lower()
                )
                continue
            if process.node:
                verdicts[process.name] = _ask_worker(process)
                continue
            if process.database:
                verdicts[process.name] = _ask_database(process.database)
                continue
            if not process.health_url:
                verdicts[process.name] = Health(ok=True)
                continue
            if process.health_url not in answers:
                answers[process.health_url] = _ask(client, process.health_url)
            verdicts[process.name] = _judge(process, state, answers[process.health_url])
    return verdicts


def check_elsewhere(neighbours: Iterable[Neighbour]) -> dict[Neighbour, Health]:
    """Health of the services of other hosts, each asked at its address; nothing is raised."""
    verdicts: dict[Neighbour, Health] = {}
    with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=trusted()) as client:
        for neighbour in neighbours:
            if not neighbour.url.startswith(("http://", "https://")):
                verdicts[neighbour] = Health(ok=True)  # a file, which nobody serves
                continue
            answer = _ask(client, f"{neighbour.url.rstrip('/')}{HEALTH_PATHS[neighbour.service]}")
            reason = (
                answer
                if isinstance(answer, str)
                else ""
                if answer.is_success
                else f"{answer.request.url} answers {answer.status_code}"
            )
            verdicts[neighbour] = Health(ok=not reason, reason=reason)
    return verdicts


def _ask(client: httpx.Client, url: str) -> httpx.Response | str:
    try:
        return client.get(url)
    except httpx.HTTPError as error:
        return f"no answer from {url} ({type(error).__name__})"


def _ask_database(options: Mapping[str, str]) -> Health:
    reason = refusal(options)
    return Health(ok=not reason, reason=reason)


def _ask_worker(process: Process) -> Health:
    broker = process.environment.get(BROKER)
    if broker is None:
        return Health(ok=False, reason="FLIGHTDECK_BROKER_URL is not set: it cannot be asked")
    reason = silence(broker, process.node)
    return Health(ok=not reason, reason=reason)


def _judge(process: Process, state: ProcessState, answer: httpx.Response | str) -> Health:
    if isinstance(answer, str):
        return Health(ok=False, reason=answer)
    if answer.status_code != httpx.codes.OK:
        return Health(ok=False, reason=f"{process.health_url} answers {answer.status_code}")
    if process.component is None:
        return Health(ok=True)
    try:
        report = answer.json()[process.component]
    except (ValueError, KeyError, TypeError):
        return Health(ok=False, reason=f"{process.health_url} does not report {process.component}")
    return _judge_heartbeat(process.component, report, state)


def _judge_heartbeat(component: str, report: Mapping[str, Any], state: ProcessState) -> Health:
    beat = report.get(f"latest_{component}_heartbeat")
    if report.get("status") != "healthy" or not beat:
        return Health(ok=False, reason="no heartbeat")
    if state.since is None or datetime.fromisoformat(beat) < state.since:
        return Health(ok=False, reason="no heartbeat since its start")
    return Health(ok=True)
