"""The demo's deliberately bad challenger: whole, wrong, and named so wherever it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli.demo.challenger import ACTOR, REASON, register_turned, turned_package
from include.model.package import load_model
from include.registry import versions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.release.rollout.overrides import gate_override
from proofs.harness.home import home_settings
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels


def test_it_answers_the_opposite_and_its_package_is_whole(tmp_path: Path) -> None:
    fitted_package(tmp_path / "package", parcels(1000))
    digest = turned_package(tmp_path / "package", tmp_path / "turned")
    model = load_model(tmp_path / "package")
    turned = load_model(tmp_path / "turned", expected_digest=digest)
    frame = parcels(200)
    assert turned.check_golden() <= 1e-9
    assert turned.score_frame(frame) == pytest.approx(1.0 - model.score_frame(frame), abs=1e-6)
    assert np.ptp(model.score_frame(frame)) > 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
def test_it_is_refused_in_mlflow_and_released_by_an_override_that_names_it(tmp_path: Path) -> None:
    settings = home_settings(tmp_path / "home")
    fitted_package(tmp_path / "package", parcels(1000))
    client = connect(settings)
    client.create_experiment(USE_CASE.name, artifact_location=(tmp_path / "files").as_uri())
    number = register_turned(settings, USE_CASE, tmp_path / "package")
    assert register_turned(settings, USE_CASE, tmp_path / "package") == number == 1
    registered = versions.version(settings, USE_CASE, number)
    assert registered.tags["decision"] == "refused"
    assert registered.description.startswith("## Refused by 1 of 1 gates")
    assert versions.challenger(settings, USE_CASE) is None
    (row,) = Ledger(settings).rows(USE_CASE.name)
    assert (row.event, row.actor, row.reason) == ("override", ACTOR, REASON)
    assert gate_override([row], number, registered.digest) == row
    assert gate_override([row], number, "0" * 64) is None
    assert gate_override([row], number + 1, registered.digest) is None
