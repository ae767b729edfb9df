"""`make reproduce MODEL=flight_delays VERSION=3`: train a version again from its record and
compare.

The training runs in a child process (`python -m cli.records.reproduce FOLDER`) that gets the record
and the tables, and no registry.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.platform.environment import common_environment, process_environment
from cli.records.tracking import command_settings
from include.catalogue import load_use_case
from include.errors import RegistryError
from include.files import write
from include.process_end import end_at_once
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.training import reproduce as again
from include.training.record import RECORD_FILE, TrainingRecord

ANSWER_FILE = "answer.json"
NOWHERE = "no-registry:/"


def reproduce_command(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The use case, for example flight_delays.")
    ],
    version: Annotated[
        int, typer.Argument(metavar="VERSION", help="The version's number in the registry.", min=1)
    ],
) -> int:
    """Train a registered version again from its record.

    The exit code is 0 only if the same model came out; the report is printed, and written below
    var/reproduce.
    """
    settings = command_settings(context)
    report = reproduce(settings, model, version)
    print(describe(report))
    print(f"report    {write_report(settings, report)}")
    return 0 if report.proven else 1


def reproduce(settings: Settings, model: str, number: int) -> again.Report:
    """Load the record, train in a clean process, compare.

    What is missing becomes the report's blocking finding.
    """
    report = again.Report(model, number, "not possible")
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reproduce-", dir=settings.home) as name:
        folder = Path(name)
        try:
            recorded = again.load(settings, load_use_case(model), number, folder)
            report.registered_digest = recorded.version.digest
            report.findings += again.differences(recorded.record, settings)
            if any(finding.blocking for finding in report.findings):
                return report
            again.snapshot_rows(recorded.record, settings)
        except again.NotReproducible as error:
            report.findings.append(error.finding)
            return report
        package = train_in_clean_process(recorded.record, settings, folder)
        report.comparison = again.compare(recorded, package, settings)
        stated = again.stated_tolerance(recorded.record)
        report.outcome = again.judge(
            report.comparison, report.registered_digest, report.findings, stated=stated
        )
    return report


def train_in_clean_process(record: TrainingRecord, settings: Settings, folder: Path) -> Path:
    """Train below `folder` in a fresh interpreter and return the package's folder.

    Raises `RegistryError` with the child's last lines when it fails.
    """
    (folder / RECORD_FILE).write_text(record.model_dump_json())
    home = folder / "home"
    isolated = settings.model_copy(
        update={"home": home, "mlflow_tracking_uri": NOWHERE, "training_threads": record.threads}
    )
    done = subprocess.run(
        [sys.executable, "-m", "cli.records.reproduce", str(folder)],
        env=process_environment(common_environment(isolated)),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RegistryError(
            f"The training from the record failed with exit code {done.returncode}:"
            f" {done.stderr.strip()[-2000:]}"
        )
    return Path(json.loads((folder / ANSWER_FILE).read_text())["package"])


def describe(report: again.Report) -> str:
    """The report as a few lines for people."""
    lines = [
        f"{report.model} version {report.version}, package"  # noqa: ISC004
        f" {report.registered_digest[:16] or 'unknown'}"
    ]
    for finding in report.findings:
        kind = "MISSING" if finding.blocking else "differs"
        lines += [
            f"{kind}   {finding.what}: recorded {finding.recorded}, found {finding.found}",
            f"          {finding.advice}",
        ]
    compared = report.comparison
    if compared is not None:
        same = [name for name, equal in compared.files.items() if equal]
        count = f"{len(same)} of {len(compared.files)} files"
        lines += [
            (
                f"bytes     {count} are the same: {', '.join(same) or 'none'}; digest"
                f" {compared.digest[:16]}"
            ),
            (
                f"golden    {compared.golden_rows} rows, largest difference"
                f" {compared.golden_difference:.3g}"
            ),
            (
                f"sample    {compared.sample_rows} test rows, largest difference"
                f" {compared.sample_difference:.3g} of {report.tolerance}"
            ),
        ]
    verdict = {
        "identical": "the same model, byte for byte",
        "within tolerance": (
            f"the same scores within {report.tolerance}; bytes differ because of what differs above"
        ),
        "different": "NOT the same model",
        "not possible": "NOT trained: see what is missing above",
    }
    return "\n".join([*lines, f"result    {verdict[report.outcome]}"])


def write_report(settings: Settings, report: again.Report) -> Path:
    """Write `<home>/reproduce/<model>-<version>.json`; readers see the old file or the new one."""
    path = settings.home / "reproduce" / f"{report.model}-{report.version}.json"
    write(path, json.dumps(report.as_json(), indent=2) + "\n")
    return path


def _train(folder: Path) -> None:
    """The child: the record in, a package out."""
    record = TrainingRecord.read((folder / RECORD_FILE).read_text())
    package, digest = again.retrain(record, load_settings())
    (folder / ANSWER_FILE).write_text(json.dumps({"package": str(package), "digest": digest}))


if __name__ == "__main__":
    exits_with = end_at_once()
    _train(Path(sys.argv[1]))
    exits_with(0)
