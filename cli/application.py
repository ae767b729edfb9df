"""`flightdeck`: the dictionary of all commands, and how one is run.

A new command is a line of `COMMANDS` and the function or `typer.Typer` that it names.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import typer

from cli.lazy import Command, LazyGroup, new_application
from include.errors import FlightdeckError
from include.threads import share_cores

PROGRAM = "flightdeck"
PLATFORM, RECORDS, ENDPOINT, PROOFS = "Platform", "Records of models and data", "Endpoint", "Proofs"
PROCESSES, DEVELOPMENT = "Processes of a use case", "Development"

# `proofs` is named and not imported: whatever is packed has no proofs.
COMMANDS: dict[str, Command] = {
    "up": Command(
        "cli.platform.commands:up", "Start the platform and wait until it is healthy.", PLATFORM
    ),
    "down": Command(
        "cli.platform.commands:down", "Stop the platform; nothing of it is left running.", PLATFORM
    ),
    "status": Command(
        "cli.platform.commands:status",
        "Show what runs, where, since when, and whether it is healthy.",
        PLATFORM,
    ),
    "logs": Command("cli.platform.commands:logs", "Show or follow the platform's logs.", PLATFORM),
    "backup": Command(
        "cli.backup.commands:backup",
        "Save everything of this home in one file, while the platform runs.",
        PLATFORM,
    ),
    "restore": Command(
        "cli.backup.commands:restore", "Make an empty home from a backup.", PLATFORM
    ),
    "bundle": Command(
        "cli.bundles.main:application",
        "Build, keep, deploy and take back whole pipelines as signed bundles.",
        PLATFORM,
    ),
    "airflow": Command(
        "cli.platform.commands:airflow",
        "Run Airflow's own command line in the platform's environment.",
        PLATFORM,
    ),
    "component": Command(
        "cli.platform.component:component",
        "Run one process of the platform in the foreground, as in a container.",
        PLATFORM,
    ),
    "migrate": Command(
        "cli.platform.component:migrate",
        "Bring the databases up to date before the platform's processes start.",
        PLATFORM,
    ),
    "compose-secrets": Command(
        "cli.images.secrets:compose_secrets",
        "Make the passwords of the platform that docker/compose.yaml brings up.",
        PLATFORM,
    ),
    "images": Command(
        "cli.images.build:images",
        "Build the images of this checkout with their bills of materials; push them.",
        PLATFORM,
    ),
    "demo": Command(
        "cli.demo.main:demo", "Replay months of real flights through the whole loop.", PLATFORM
    ),
    "experiments": Command(
        "cli.experiments.main:application",
        "List, search, show, compare, draw and annotate what has been trained.",
        RECORDS,
    ),
    "models": Command(
        "cli.records.models:application",
        "List, search, export and verify registered models; how those in service do.",
        RECORDS,
    ),
    "releases": Command(
        "cli.records.releases:application",
        "Who put which version in service when and why; verify and export the release ledger.",
        RECORDS,
    ),
    "decisions": Command(
        "cli.records.decisions:application",
        "Show a single decision with its evidence; have a named person review it; list reviews.",
        RECORDS,
    ),
    "privacy": Command(
        "cli.maintenance.privacy:application",
        "Erase one person's rows everywhere, and keep them from coming back.",
        RECORDS,
    ),
    "alarms": Command(
        "cli.records.alarms:application",
        "List, acknowledge and close alarms; show and test where they are sent.",
        RECORDS,
    ),
    "datasets": Command(
        "cli.records.datasets:application",
        "List, show, browse, query and annotate the data sets and their versions.",
        RECORDS,
    ),
    "serving-costs": Command(
        "cli.records.costs:serving_costs",
        "Show what the endpoint's answers cost by interval, and what the next will.",
        RECORDS,
    ),
    "monitoring-page": Command(
        "cli.records.monitoring:monitoring_page",
        "Write the page of a use case over time: performance, inputs, releases, alarms.",
        RECORDS,
    ),
    "features": Command(
        "cli.records.features:application",
        "List the entities and feature views, and show statistics of their values.",
        RECORDS,
    ),
    "lineage": Command(
        "cli.records.lineage:lineage_command",
        "Show what a version came from, or what a table, data set, commit or cause led to.",
        RECORDS,
    ),
    "reproduce": Command(
        "cli.records.reproduce:reproduce_command",
        "Train a registered version again from its record and compare the two.",
        RECORDS,
    ),
    "ml-test-score": Command(
        "cli.records.ml_test_score:ml_test_score",
        "Score a version by the 28 tests of the ML Test Score, from what is on record.",
        RECORDS,
    ),
    "replay": Command(
        "cli.records.replay:replay_command",
        "Score logged answers again with a version and compare it with what was answered.",
        RECORDS,
    ),
    "evidence": Command(
        "cli.records.evidence:application",
        "Collect the evidence of a version in service for an auditor; verify such a file.",
        RECORDS,
    ),
    "new-use-case": Command(
        "cli.authoring.new_use_case:new_use_case",
        "Write the four files of a new use case from the rows of a file, table or database.",
        DEVELOPMENT,
    ),
    "add-example": Command(
        "cli.authoring.examples:add_example",
        "Make one of the examples a use case of this checkout.",
        DEVELOPMENT,
    ),
    "backfill": Command(
        "cli.runs.platform:backfill",
        "Ingest a range on the platform, interval by interval, and print each verdict.",
        PROCESSES,
    ),
    "train": Command(
        "cli.runs.platform:train",
        "Train a model on the platform and print what the gates say of it.",
        PROCESSES,
    ),
    "deploy": Command(
        "cli.runs.platform:deploy",
        "Deploy a version on the platform and follow its rollout.",
        PROCESSES,
    ),
    "score": Command(
        "cli.runs.platform:score",
        "Score a range on the platform with the model in service.",
        PROCESSES,
    ),
    "monitor": Command(
        "cli.runs.platform:monitor",
        "Monitor a scored range on the platform and print alarms.",
        PROCESSES,
    ),
    "run": Command(
        "cli.runs.local:run",
        "Run a process of a use case here, without the platform, and print its verdict.",
        PROCESSES,
    ),
    "smoke": Command(
        "cli.runs.smoke:smoke",
        "Try the whole pipeline in a home of its own: does it yield a model that answers?",
        PROCESSES,
    ),
    "check": Command(
        "cli.authoring.check:check",
        "Hold a use case against all that it must fit; propose limits from its history.",
        DEVELOPMENT,
    ),
    "retire-use-case": Command(
        "cli.authoring.leaving:retire_use_case",
        "Have no version of a use case answer any more; can be taken back.",
        DEVELOPMENT,
    ),
    "remove-use-case": Command(
        "cli.authoring.leaving:remove_use_case",
        "Move the files of a retired use case aside, and list what stays.",
        DEVELOPMENT,
    ),
    "rename-use-case": Command(
        "cli.authoring.leaving:rename_use_case",
        "Give a retired use case another name, and list what stays under the old one.",
        DEVELOPMENT,
    ),
    "expectations": Command(
        "cli.records.expectations:expectations",
        "Write the data rules of the use cases as Great Expectations suites.",
        RECORDS,
    ),
    "declarations": Command(
        "cli.records.declarations:declarations",
        "Check what the use cases declare, against Feast's definitions and estimators too.",
        RECORDS,
    ),
    "serve": Command(
        "cli.endpoint.serve:serve_command",
        "Run the prediction endpoint in the foreground.",
        ENDPOINT,
    ),
    "rollback": Command(
        "cli.endpoint.rollback:rollback",
        "Give all traffic back to a version that served before.",
        ENDPOINT,
    ),
    "override": Command(
        "cli.endpoint.override:override",
        "Let a version be tried that its gates refused, by the right of a named person.",
        ENDPOINT,
    ),
    "stream": Command(
        "cli.endpoint.stream:stream",
        "Score the events of a NATS JetStream broker with the model in service.",
        ENDPOINT,
    ),
    "ship": Command(
        "cli.endpoint.ship:ship_command",
        "Move the endpoint's log from its own disk to the tables.",
        ENDPOINT,
    ),
    "bento": Command(
        "cli.endpoint.bento:application",
        "Build one Bento of serving code and a registered version, tried before it is there.",
        ENDPOINT,
    ),
    "export": Command(
        "cli.endpoint.export:export",
        "Export a registered version as ONNX and UBJ, for where nothing of Flightdeck runs.",
        ENDPOINT,
    ),
    "api-key": Command(
        "cli.endpoint.api_keys:api_key",
        "Make a key for one caller of the endpoint, or revoke a caller's keys.",
        ENDPOINT,
    ),
    "refusals": Command(
        "proofs.refusals.main:refusals",
        "Send bad data, models and packages through the DAGs: which gate refuses each?",
        PROOFS,
    ),
    "faults": Command(
        "proofs.faults.commands:application",
        "Make faults on purpose, as killed processes and full disks, and show what is borne.",
        PROOFS,
    ),
    "bench": Command(
        "proofs.bench.commands:application",
        "Measure training, serving, scoring and the analysis of releases.",
        PROOFS,
    ),
    "audit": Command(
        "cli.maintenance.audit:audit",
        "Ask a database of vulnerabilities about every locked package.",
        DEVELOPMENT,
    ),
    "reference": Command(
        "cli.reference:reference",
        "Write docs/specification.md and docs/settings.md anew from the code.",
        DEVELOPMENT,
    ),
}


class Flightdeck(LazyGroup):
    """All commands."""

    lazy_commands: ClassVar[Mapping[str, Command]] = COMMANDS


def _application() -> typer.Typer:
    application = new_application(cls=Flightdeck, no_args_is_help=True)

    @application.callback()
    def flightdeck() -> None:
        """Run the production life of a model as Airflow DAGs."""

    return application


def invoke(arguments: Sequence[str], settings: Any = None) -> int:
    """Run one command and return its exit code; its errors are raised.

    `settings` stand for those of the running platform.
    """
    command = typer.main.get_command(_application())
    result = command.main(
        args=list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=settings
    )
    return result if isinstance(result, int) else 0


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 2 for arguments that make no sense, 1 for an error
    made on purpose, both told without a traceback.
    """
    # Processes that this one starts in passing must not leave imports uncompiled: it doubles their
    # start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    share_cores()
    try:
        with _without_deprecations():
            return invoke(arguments)
    except typer.TyperException as error:
        error.show() if hasattr(error, "show") else print(error, file=sys.stderr)
        return error.exit_code
    except FlightdeckError as error:
        print(f"{PROGRAM} {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, for example `head`, has seen enough; Python must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Nobody who calls a command is told which library calls what another one deprecates.

    Python itself keeps that from users; Feast turns it on for all libraries when it is imported.
    Options such as `python -W` and PYTHONWARNINGS still show it, and the tests fail by it.
    """
    show = warnings.showwarning

    def show_others(
        message: Warning | str, category: type[Warning], *place: Any, **more: Any
    ) -> None:
        if not issubclass(category, DeprecationWarning | PendingDeprecationWarning):
            show(message, category, *place, **more)

    if not sys.warnoptions:
        warnings.showwarning = show_others
    try:
        yield
    finally:
        warnings.showwarning = show
