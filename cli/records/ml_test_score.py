"""The command `ml-test-score`: the 28 tests of the ML Test Score, from what is on record."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.records.answers import AsJson, print_answer
from cli.records.tracking import command_settings
from cli.tables import print_table
from include.catalogue import load_use_case
from include.errors import RegistryError
from include.ml_test_score.reading import read_records
from include.ml_test_score.rubric import SECTIONS, TESTS_IN_SECTION, Section
from include.ml_test_score.score import Score, score_of
from include.registry.versions import champion
from include.settings import Settings


def ml_test_score(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The use case, for example flight_delays.")
    ],
    version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]", help="Its number in the registry; the champion by default.", min=1
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Score a version by the 28 tests of the ML Test Score (Breck et al., 2017).

    Each test gives half a point where it was done by hand, a whole one where a system does it again
    and again; the score is the least of the four sections. Nobody is asked anything: what counts is
    on record in registry, ledger, monitoring, alarms, deployed bundles, git, and in the JUnit files
    in var/tests.
    """
    settings = command_settings(context)
    use_case = load_use_case(model)
    number = _champion(settings, model) if version is None else version
    score = score_of(read_records(settings, use_case, number))
    print_answer(score.as_json() if as_json else score, print_score, as_json=as_json)


def print_score(score: Score) -> None:
    """For people: each section test by test with what would raise it, then the sum."""
    for name in SECTIONS:
        _print_section(score, name)
    sums = ((name, score.section(name), TESTS_IN_SECTION) for name in SECTIONS)
    print_table("Sections", ("section", "points", "of"), sums)
    print(f"ML Test Score of {score.use_case}/{score.version}: {score.points:g}, the least of them")
    print(score.meaning)


def _print_section(score: Score, name: Section) -> None:
    rows = [
        (
            test.number,
            f"{test.judgement.points:g}",
            test.title,
            "; ".join(test.judgement.evidence) or "-",
            test.judgement.lacks or "-",
        )
        for test in score.tests
        if test.section == name
    ]
    print_table(
        f"{name.capitalize()}: {score.section(name):g} of {TESTS_IN_SECTION}",
        ("test", "points", "title", "on record", "lacks"),
        rows,
        prose=("title", "on record", "lacks"),
    )


def _champion(settings: Settings, model: str) -> int:
    current = champion(settings, load_use_case(model))
    if current is None:
        raise RegistryError(
            f"{model} has no champion yet; name a version: flightdeck ml-test-score {model} 1"
        )
    return current.version
