"""The command `smoke`: does the pipeline of this checkout yield a model that may be deployed, and
does that model answer?
"""

from __future__ import annotations

import getpass
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from cli.runs.arguments import Last, UseCaseName, new_run_id
from cli.runs.dates import cron_of, training_interval
from cli.runs.local import run_once
from cli.runs.servers import environment_of, servers_for
from cli.runs.verdict import Outcome, exit_code, print_outcome, progress
from include.catalogue import load_use_case
from include.errors import PlatformError
from include.files import write
from include.interval import Interval
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.spec.times import intervals_between, ticks_around
from include.steps import RunInfo, StepContext
from include.tls import trusted

BEFORE = timedelta(days=60)
"""Rows before the training's window, for its features to look back on."""
ANSWER_SECONDS = 60.0
LARGEST_DIFFERENCE = 1e-6
"""Between the score of a golden row in training and at the endpoint."""
WHY = "smoke test"


def smoke(
    name: UseCaseName,
    last: Last = None,
    share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0.001,
            max=1.0,
            help="Share of the source's rows; that of FLIGHTDECK_ENV by default.",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, max=200, help="Tuning trials of the training.")
    ] = 1,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what each part came to, as JSON."),
    ] = None,
) -> int:
    """Try the pipeline of this checkout end to end, in a home of its own.

    Ingests what a training reads, trains on the window that ends at --to (the data's end by
    default), lets the gates judge, deploys to an endpoint of its own, and asks that one a real row
    and the model's golden rows. The home of this environment, its models and its traffic are not
    touched, and nothing is left behind. The exit code is 0 if a model came out that may be deployed
    and answers, 3 if something was refused, 1 if something failed.
    """
    settings = load_settings()
    if settings.environment == "production":
        raise PlatformError(
            "A smoke test comes before production: run it with FLIGHTDECK_ENV=staging, whose"
            " sources and share of the data it then reads."
        )
    with _own_home(settings, share) as scratch, environment_of(scratch):
        use_case = load_use_case(name)
        outcomes = list(_outcomes(scratch, use_case, _end(use_case, last), trials))
    code = exit_code(outcomes)
    if report is not None:
        write(report, json.dumps([_reported(outcome) for outcome in outcomes], indent=1))
    if code == 0:
        print(f"{name}: the pipeline yields a model that may be deployed, and it answers.")
    else:
        print(f"{name}: the pipeline yields no model that answers; what serves was not touched.")
    return code


def _reported(outcome: Outcome) -> dict[str, Any]:
    """An outcome without its figures."""
    named = {name: getattr(outcome, name) for name in ("title", "state", "by", "reasons")}
    return {**named, "headline": outcome.headline}


@contextmanager
def _own_home(settings: Settings, share: float | None) -> Iterator[Settings]:
    """The settings of the environment with stores of their own, that go at the end."""
    with tempfile.TemporaryDirectory(prefix="flightdeck-smoke-") as folder:
        home = Path(folder)
        yield settings.with_own_stores(home).model_copy(
            update={
                "mlflow_tracking_uri": f"http://{settings.host}:{settings.mlflow_port}",
                "serving_url": f"http://{settings.host}:{settings.serving_port}",
                "alarm_sinks": None,
                "api_keys_file": None,
                "api_key_file": None,
                "target": "process",
                "sample_share": share or settings.sample_share,
            }
        )


def _end(use_case: UseCase, last: str | None) -> Interval:
    """The day that ends with the training's window."""
    now, schedule = datetime.now(UTC), use_case.schedule
    newest = min(now, schedule.end or now)
    newest = ticks_around(cron_of(use_case, "features"), newest)[0]
    return training_interval(use_case, last or newest.isoformat(), now)


def _outcomes(
    settings: Settings, use_case: UseCase, day: Interval, trials: int
) -> Iterator[Outcome]:
    """What each part came to, as it ends; the first that is not accepted is the last."""
    say = progress()
    say("starting MLflow and an endpoint of its own")
    with servers_for(settings, "deployment") as served, environment_of(served):
        for context in _contexts(served, use_case, day, trials):
            outcome = run_once(context, say)
            if outcome.state != "accepted" or context.run.process == "training":
                print_outcome(outcome)
            yield outcome
            if outcome.state != "accepted":
                return
        outcome = _ask(served, use_case, say)
        print_outcome(outcome)
        yield outcome


def _contexts(
    settings: Settings, use_case: UseCase, day: Interval, trials: int
) -> Iterator[StepContext]:
    """The features of every interval that the training reads, the training, the deployment."""
    first = day.end - timedelta(days=use_case.training.window_days) - BEFORE
    cron = cron_of(use_case, "features")
    start = max(use_case.schedule.start, ticks_around(cron, first)[0])
    for interval in intervals_between(cron, start, day.end):
        yield _context(settings, use_case, "features", interval, {})
    params = {"trials": trials, "reason": WHY}
    yield _context(settings, use_case, "training", day, params)
    now = datetime.now(UTC)
    today = Interval(now - timedelta(days=1), now)
    yield _context(settings, use_case, "deployment", today, {"reason": WHY})


def _context(
    settings: Settings, use_case: UseCase, process: str, interval: Interval, params: dict[str, Any]
) -> StepContext:
    run_id = new_run_id("smoke", interval.label)
    info = RunInfo(process=process, run_id=run_id, triggered_by=getpass.getuser(), params=params)
    return StepContext(use_case, settings, interval, info)


def _ask(settings: Settings, use_case: UseCase, say: Callable[[str], None]) -> Outcome:
    """Ask the endpoint its own example, a real row, and the golden rows."""
    title = f"{use_case.name} answers"
    say(title)
    base = f"/v1/models/{use_case.name}"
    try:
        with httpx.Client(
            base_url=settings.serving_url, timeout=ANSWER_SECONDS, trust_env=False, verify=trusted()
        ) as client:
            asked = example_request(client.get("/docs.json").raise_for_status().json(), base)
            predicted = client.post(f"{base}/predict", json=asked)
            checked = client.post(f"{base}/check")
    except httpx.HTTPError as error:
        return Outcome(title, "failed", ("ask",), (f"The endpoint does not answer: {error}.",))
    reasons = [
        f"{answer.request.url.path} answers {answer.status_code}: {answer.text[:500]}"
        for answer in (predicted, checked)
        if not answer.is_success
    ]
    if not reasons and checked.json()["largest_difference"] > LARGEST_DIFFERENCE:
        reasons.append(
            f"The golden rows score otherwise than in training, by up to"
            f" {checked.json()['largest_difference']:.2g} (limit {LARGEST_DIFFERENCE:g})."
        )
    if reasons:
        return Outcome(title, "failed", ("ask",), tuple(reasons))
    for row in (asked["rows"][0], predicted.json()["predictions"][0]):
        say(f"  {json.dumps(row, ensure_ascii=False)}")
    return Outcome(title, "accepted")


def example_request(documented: dict[str, Any], base: str) -> dict[str, Any]:
    """The request that the endpoint's own pages print: a row of its online store."""
    operation = documented["paths"][f"{base}/predict"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    request: dict[str, Any] = examples["example"]["value"]
    return request
