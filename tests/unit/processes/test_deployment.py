"""A deployment refuses to begin where the release ledger is broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.errors import LedgerBroken
from include.interval import Interval
from include.processes.deployment import select_version
from include.release.ledger import Ledger
from include.settings import Settings, load_settings
from include.steps import RunInfo, StepContext
from proofs.harness.ports import free_port
from tests.unit.model.synthetic import USE_CASE

DAY = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A deployment whose MLflow is away, so that whatever is asked of it fails otherwise."""
    address = f"http://127.0.0.1:{free_port()}"
    settings = load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_MLFLOW_TRACKING_URI": address}
    )
    for version in (1, 2):
        Ledger(settings).append("promoted", "parcels", version, "d", "a", "r", {})
    return StepContext(USE_CASE, settings, DAY, RunInfo("deployment", "manual__1"))


def file_deleted(settings: Settings) -> None:
    settings.ledger_path.unlink()


def head_deleted(settings: Settings) -> None:
    (settings.ledger_path.parent / "releases.head").unlink()


def no_database(settings: Settings) -> None:
    settings.ledger_path.write_bytes(b"no database" * 500)


@pytest.mark.parametrize(
    ("attack", "kind"),
    [(file_deleted, "deleted"), (head_deleted, "head missing"), (no_database, "unreadable")],
)
def test_a_deployment_does_not_begin_on_a_broken_ledger(
    context: StepContext, attack: Callable[[Settings], None], kind: str
) -> None:
    attack(context.settings)
    with pytest.raises(LedgerBroken) as error:
        select_version(context)
    assert error.value.kind == kind
