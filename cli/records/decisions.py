"""The command `decisions`: what is recorded about single answers, and what their reviewers said.

`show`, `list` and `sample` read the stores alone; `request` and `review` go through Airflow, which
knows who somebody is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.lazy import new_application
from cli.platform.airflow_api import AirflowApi
from cli.platform.environment import user_of_commands
from cli.records.answers import AsJson, print_answer
from cli.records.tracking import command_settings
from cli.tables import print_facts, print_table
from include.catalogue import load_use_case, names
from include.decisions.lookup import ID, answers_about
from include.decisions.page import facts_of, inputs_of, review_of, row_of
from include.decisions.record import DecisionRecord, decision_record
from include.decisions.reviews import Review, all_reviews, open_request
from include.decisions.right import DECISION, OPTIONS, Outcome
from include.decisions.sampling import Drawn, draw
from include.decisions.statistics import ReviewRate, review_rates
from include.errors import DataError, ReleaseError
from include.experiments.criteria import parse_moment
from include.interval import Interval
from include.release.approval import REASON
from include.release.ledger import Ledger
from include.settings import Settings
from include.spec import UseCase

PASSWORD = "FLIGHTDECK_PASSWORD"  # noqa: S105  # the name of a variable
PROCESS = "decision_review"
ASKING = "request_review"

UseCaseName = Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")]
DecisionId = Annotated[
    str, typer.Argument(metavar="ID", help="The prediction id, as it stands in the answer.")
]
User = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"An Airflow user, whose password is asked for or read from {PASSWORD}; the one as"
        " whom commands start runs by default.",
    ),
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.")]
Since = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="ISO 8601, UTC by default.")
]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before it; now if none.")]

application = new_application(
    no_args_is_help=True,
    epilog="Examples: decisions show flight_delays 019ad...; decisions show flight_delays --entity"
    " tailnum=N14228 --at 2026-11-29T14:05; decisions request flight_delays 019ad... --reason 'the"
    " flight was cancelled'; decisions list --use-case flight_delays --outcome overturned",
)


@application.callback()
def _decisions() -> None:
    """Show a single automated decision with its evidence, and have a named person review it."""


@application.command("show")
def show(
    context: typer.Context,
    use_case: UseCaseName,
    prediction_id: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The prediction id, as it stands in the answer."),
    ] = None,
    *,
    entity: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Without an id: what was asked about; repeatable."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The last answer until then; now by default."),
    ] = None,
    row: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of those answers the N-th, newest first.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Print what was asked, known and answered, by which version, why that one, and of what."""
    settings, declared = command_settings(context), load_use_case(use_case)
    identifier = prediction_id or _about(settings, declared, entity or [], at, row)
    record = decision_record(settings, declared, identifier)
    print_answer(
        record.as_json() if as_json else record,
        lambda shown: _print_record(declared, shown),
        as_json=as_json,
    )


@application.command("request")
def request(
    context: typer.Context,
    use_case: UseCaseName,
    prediction_id: DecisionId,
    *,
    reason: Why,
    user: User = None,
) -> None:
    """Have a decision reviewed: start the DAG that asks the use case's reviewers."""
    settings, declared = command_settings(context), load_use_case(use_case)
    dag_id = _dag_id(declared)
    decision_record(settings, declared, prediction_id)
    run_id = f"{prediction_id}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with _airflow(settings, user) as airflow:
        airflow.trigger(dag_id, run_id, conf={ID: prediction_id, "reason": reason})
    people = ", ".join(declared.review.reviewers)
    print(
        f"Run {run_id} of {dag_id} asks {people}, who answer in Airflow or with: flightdeck"
        f" decisions review {use_case} {prediction_id} --outcome upheld|overturned --reason TEXT"
        " --user NAME"
    )


@application.command("review")
def review(
    context: typer.Context,
    use_case: UseCaseName,
    prediction_id: DecisionId,
    *,
    outcome: Annotated[str, typer.Option(metavar="OUTCOME", help="upheld or overturned.")],
    reason: Why,
    decision: Annotated[
        str | None,
        typer.Option(metavar="VALUE", help="The class or number that replaces an overturned one."),
    ] = None,
    user: User = None,
) -> None:
    """Answer the open request for a review, as the person whom Airflow authenticates."""
    settings, declared = command_settings(context), load_use_case(use_case)
    dag_id, option = _dag_id(declared), _option(outcome)
    request_row = open_request(Ledger(settings).rows(use_case), prediction_id)
    if request_row is None or request_row.run is None:
        raise ReleaseError(
            f"No review of {prediction_id} is open. Ask for one with: flightdeck decisions request"
            f" {use_case} {prediction_id} --reason TEXT; whoever asks may not answer."
        )
    run_id = request_row.run.partition("/")[2]
    with _airflow(settings, user) as airflow:
        airflow.answer_request(dag_id, run_id, ASKING, option, {REASON: reason, DECISION: decision})
    print(
        f"Answered; run {run_id} of {dag_id} judges it and writes it into the ledger. See:"
        f" flightdeck decisions list --use-case {use_case}"
    )


@application.command("list")
def list_reviews(
    context: typer.Context,
    *,
    use_case: Annotated[
        str | None, typer.Option("--use-case", metavar="NAME", help="All by default.")
    ] = None,
    version: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Answered by this version alone.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="upheld or overturned.")
    ] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Print the reviews, and the share of overturned ones by version and segment."""
    settings = command_settings(context)
    meaning = None if outcome is None else OPTIONS[_option(outcome)]
    first = None if since is None else parse_moment(since)
    last = None if until is None else parse_moment(until)
    chosen = [
        entry
        for entry in all_reviews(settings, use_case)
        if version in (None, entry.version)
        and meaning in (None, entry.outcome)
        and (first is None or datetime.fromisoformat(entry.reviewed_at) >= first)
        and (last is None or datetime.fromisoformat(entry.reviewed_at) < last)
    ]
    rates = _rates(settings, chosen)
    if as_json:
        content = {
            "reviews": [entry.as_json() for entry in chosen],
            "rates": {name: [asdict(rate) for rate in part] for name, part in rates.items()},
        }
        print_answer(content, print, as_json=True)
        return
    _print_reviews(chosen)
    for name, part in rates.items():
        _print_rates(name, part)


@application.command("sample")
def sample(
    context: typer.Context,
    use_case: UseCaseName,
    *,
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="The first answers, UTC by default.")
    ],
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Print the answers of a window that a person should look at, by the specification's review.

    The same window gives the same answers, less those that were reviewed meanwhile.
    """
    settings, declared = command_settings(context), load_use_case(use_case)
    end = datetime.now(UTC) if until is None else parse_moment(until)
    reviewed = {entry.prediction_id for entry in all_reviews(settings, use_case)}
    drawn = draw(settings, declared, Interval(parse_moment(since), end), reviewed)
    print_answer(
        [asdict(entry) for entry in drawn] if as_json else drawn, _print_drawn, as_json=as_json
    )


def _about(
    settings: Settings, use_case: UseCase, entity: Sequence[str], at: str | None, row: int
) -> str:
    """The id of the N-th newest answer about an entity."""
    pairs = [text.partition("=") for text in entity]
    if not pairs or not all(name and sign for name, sign, _ in pairs):
        raise DataError(
            "Name a decision by its prediction id, or by what was asked:"
            f" --entity {use_case.request_columns[0]}=VALUE --at TIME."
        )
    moment = datetime.now(UTC) if at is None else parse_moment(at)
    rows = answers_about(settings, use_case, {name: value for name, _, value in pairs}, moment)
    if row > rows.height:
        raise DataError(f"--row is {row}, and there are {rows.height} such answers.")
    return str(rows[ID][row - 1])


def _dag_id(use_case: UseCase) -> str:
    if not use_case.review.reviewers:
        raise ReleaseError(
            f"{use_case.name} names nobody who may review its decisions; write review=Review("
            f"reviewers=(...)) in include/use_cases/{use_case.name}/spec.py."
        )
    return use_case.dag_id(PROCESS)


def _option(outcome: str) -> str:
    """The form's option of an outcome."""
    for option, means in OPTIONS.items():
        if means == outcome:
            return option
    valid: list[Outcome] = list(OPTIONS.values())
    raise ReleaseError(f"--outcome is {outcome!r}; valid: {valid}.")


def _airflow(settings: Settings, user: str | None) -> AirflowApi:
    if user is None:
        return AirflowApi(settings, user_of_commands(settings))
    password = os.environ.get(PASSWORD) or typer.prompt(f"Password of {user}", hide_input=True)
    return AirflowApi(settings, user, password=password)


def _rates(settings: Settings, chosen: Sequence[Review]) -> dict[str, list[ReviewRate]]:
    """By use case; none where this checkout does not declare it any more."""
    declared = set(names())
    return {
        name: review_rates(
            settings, load_use_case(name), [entry for entry in chosen if entry.use_case == name]
        )
        for name in sorted({entry.use_case for entry in chosen} & declared)
    }


def _print_record(use_case: UseCase, record: DecisionRecord) -> None:
    print_facts(f"{use_case.name}, decision {record.prediction_id}", facts_of(record))
    print_table(
        "What it was decided from",
        ("input", "value", "contribution"),
        (
            (name, value, None if part is None else f"{part:+.4f}")
            for name, value, part in inputs_of(use_case, record)
        ),
    )
    history = {f"row {row.number}": row_of(row) for row in record.answered_by.history}
    if history:
        print_facts(f"Version {record.answered_by.version} until then", history)


def _print_reviews(chosen: Sequence[Review]) -> None:
    print_table(
        "Reviews",
        ("row", "use case", "decision", "version", "answered", "review"),
        (
            (
                entry.number,
                entry.use_case,
                entry.prediction_id,
                entry.version,
                entry.answered_at[:19],
                review_of(entry),
            )
            for entry in chosen
        ),
        nothing="none fulfils every condition",
        prose=("review",),
    )


def _print_rates(name: str, rates: Sequence[ReviewRate]) -> None:
    print_table(
        f"{name}: overturned of those reviewed",
        ("segment", "value", "answered", "reviewed", "overturned", "share"),
        (
            (
                rate.segment,
                rate.value,
                rate.answered,
                rate.reviewed,
                rate.overturned,
                f"{rate.overturned_share:.1%}",
            )
            for rate in rates
        ),
    )


def _print_drawn(drawn: Sequence[Drawn]) -> None:
    print_table(
        f"{len(drawn)} decisions to look at",
        ("decision", "answered", "version", "score", "why"),
        (
            (row.prediction_id, row.answered_at[:19], row.version, row.score, row.why)
            for row in drawn
        ),
        nothing="none",
    )
