"""The command `evidence`: what an auditor of a version in service asks for, in one signed file."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.lazy import new_application
from cli.records.tracking import command_settings
from cli.tables import print_facts, print_table
from include.catalogue import load_use_case
from include.evidence.collect import collect, save
from include.evidence.page import STATES, counts
from include.evidence.records import Period
from include.evidence.requirements import FRAMEWORKS
from include.evidence.scope import Scope
from include.evidence.verify import verify
from include.model.signing import public_key

application = new_application(
    no_args_is_help=True,
    epilog="Examples: evidence collect flight_delays --since 2026-01-01 --until 2026-07-01"
    " --output evidence.zip; evidence verify evidence.zip --public-key signing.pub.pem",
)


@application.callback()
def _evidence() -> None:
    """Collect the evidence of a version in service for an auditor; verify such a file."""


@application.command("collect")
def collect_evidence(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="NAME", help="Such as flight_delays.")],
    *,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="The zip file to write.")
    ],
    version: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, help="The version; the one in service by default."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begin of the period, in UTC unless it says a zone."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="End of the period, not in it itself.")
    ] = None,
    who: Annotated[
        str, typer.Option("--who", metavar="NAME", help="Who collects; the system's user if none.")
    ] = "",
) -> None:
    """Write what the stores hold of a version and a period, with what is missing, in one file.

    It needs MLflow or its file, and not Airflow. The exit code is 0 whatever the findings are.
    """
    period = Period.parse(since, until)
    settings = command_settings(context)
    scope = Scope.of(settings, load_use_case(use_case), version, period)
    collected = collect(scope, moment=datetime.now(UTC), who=who or getpass.getuser())
    save(collected, output.absolute())
    assessment = collected.assessment
    rows = [(name, *(counts(assessment, name)[state] for state in STATES)) for name in FRAMEWORKS]
    print_table(f"Evidence for {scope.name}, {period.text}", ("framework", *STATES), rows)
    print_table(
        "Findings",
        ("about", "what"),
        [(item.subject, item.reason) for item in assessment.findings],
        nothing="none",
        prose=("what",),
    )
    print(
        f"{len(collected.manifest['files'])} files -> {output}. Check them with: flightdeck"
        f" evidence verify {output} --public-key {public_key(settings)}"
    )


@application.command("verify")
def verify_evidence(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of evidence collect.")],
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            "--public-key",
            metavar="FILE",
            help="The signing key's public half as you keep it; that of the file if none.",
        ),
    ] = None,
) -> int:
    """Check manifest, signature, every file and the ledger's chain; needs no platform and no home.

    Every file that was changed, added or is missing is named; the exit code is 1 then.
    """
    checked = verify(file, key)
    manifest = checked.manifest
    if not checked.verdict.accepted:
        print_table(
            f"{file} is not what was collected",
            ("file", "what"),
            [(item.subject, item.reason) for item in checked.verdict.refused],
            prose=("what",),
        )
        return 1
    print_facts(
        f"{file} holds",
        {
            "about": f"{manifest['use_case']}/{manifest['version']}, {manifest['period_text']}",
            "collected": f"{manifest['collected_at'][:16]} by {manifest['collected_by']}",
            "files": len(manifest["files"]),
            "ledger": f"{checked.ledger_rows} rows",
        },
    )
    if not checked.trusted:
        print("It was checked with the key in the file; name yours with --public-key.")
    return 0
