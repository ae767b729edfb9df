from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.errors import DigestMismatch, RegistryError
from include.model.package import (
    DIGEST_FILE,
    PACKAGE_FILES,
    load_model,
    package_digest,
    request_rows,
    verify_package,
)
from include.spec import RequestField, Serving
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.inference_log.log_helpers import marked
from tests.unit.model.synthetic import USE_CASE as PARCELS
from tests.unit.model.synthetic import fitted_package, parcels


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("model") / "package"
    digest, _ = fitted_package(folder, parcels())
    return folder, digest


@pytest.fixture
def package(original, tmp_path) -> tuple[Path, str]:
    folder, digest = original
    return Path(shutil.copytree(folder, tmp_path / "package")), digest


def test_a_package_holds_the_six_files_and_nothing_else(package):
    folder, _ = package
    assert {path.name for path in folder.iterdir()} == {*PACKAGE_FILES, DIGEST_FILE}


def test_a_loaded_model_gives_its_golden_answers(package):
    folder, digest = package
    model = load_model(folder, expected_digest=digest)
    assert model.digest == digest
    assert len(model.golden["rows"]) == 20
    assert model.check_golden() < 1e-7


def test_the_check_of_the_golden_answers_notices_another_answer(package):
    model = load_model(package[0])
    model.golden["scores"][7] += 0.25
    assert model.check_golden() == pytest.approx(0.25, abs=1e-6)


def test_one_row_and_many_rows_get_the_same_scores(package):
    model = load_model(package[0])
    frame = parcels(200, seed=5)
    together = model.score_frame(frame)
    alone = np.array(
        [
            model.score({name: frame[name][row : row + 1].to_list() for name in frame.columns})[0]
            for row in range(20)
        ]
    )
    assert together.dtype == np.float64
    assert np.array_equal(together[:20], alone)
    assert model.score_frame(frame.head(0)).shape == (0,)


def test_the_quantity_and_category_codes_reach_the_booster(package):
    model = load_model(package[0])
    frame = parcels(1000, seed=6)
    scores = model.score_frame(frame)
    west = (frame["depot"] == "west").to_numpy()
    heavy = (frame["depot_daily__load"].fill_null(0.0) > 0.8).to_numpy()
    assert scores[west].mean() > scores[~west].mean() + 0.1
    assert scores[heavy].mean() > scores[~heavy].mean() + 0.2


@pytest.mark.parametrize("name", PACKAGE_FILES)
def test_a_flipped_bit_in_any_file_is_refused_before_parsing(package, name):
    folder, _ = package
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DigestMismatch, match=name):
        load_model(folder)


def test_an_added_or_a_missing_file_is_refused(package):
    folder, _ = package
    (folder / "extra.py").write_text("print('hello')")
    with pytest.raises(DigestMismatch, match=r"extra\.py"):
        load_model(folder)
    (folder / "extra.py").unlink()
    (folder / "reference.json").unlink()
    with pytest.raises(DigestMismatch, match=r"reference\.json"):
        load_model(folder)


def test_a_forged_digest_file_does_not_help_against_the_expected_digest(package):
    folder, digest = package
    (folder / "golden.json").write_text(json.dumps({"rows": [], "scores": []}))
    recorded = json.loads((folder / DIGEST_FILE).read_text())
    forged = package_digest(folder)
    (folder / DIGEST_FILE).write_text(json.dumps({**recorded, "digest": forged}))
    with pytest.raises(DigestMismatch, match="another one"):
        load_model(folder, expected_digest=digest)
    with pytest.raises(DigestMismatch):
        verify_package(folder, digest)


def test_an_empty_folder_is_no_package(tmp_path):
    with pytest.raises(RegistryError, match="no model package"):
        load_model(tmp_path)


def test_the_digest_is_what_sha256sum_prints(package):
    folder, digest = package
    listing = subprocess.run(
        ["sha256sum", *sorted(PACKAGE_FILES)], cwd=folder, capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(listing).hexdigest() == digest


def test_the_same_training_gives_the_same_package(package, tmp_path):
    again, _ = fitted_package(tmp_path / "again", parcels())
    assert again == package[1]
    other, _ = fitted_package(tmp_path / "other", parcels(), run_id="another")
    assert other != again


def test_writing_again_replaces_the_package_and_leaves_nothing_beside_it(tmp_path):
    fitted_package(tmp_path / "package", parcels())
    second, _ = fitted_package(tmp_path / "package", parcels(seed=2))
    assert package_digest(tmp_path / "package") == second
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_requests_hold_what_a_caller_sends_and_nothing_that_is_kept_out_of_the_log():
    moment = datetime(2013, 2, 5, 12, tzinfo=UTC)
    keys = {"carrier": "UA", "origin": "EWR", "dest": "IAH", "tailnum": None}
    row = {**keys, "scheduled_departure": moment, "asked_at": moment, "late": 1}
    frame = pl.DataFrame([row])
    sent = {**keys, "scheduled_departure": moment.isoformat(), "asked_at": moment.isoformat()}
    assert request_rows(USE_CASE, frame) == [sent]
    assert request_rows(marked(tailnum="hash"), frame) == []
    assert request_rows(USE_CASE, frame.drop("tailnum")) == []


def test_the_event_time_may_be_a_field_of_the_request_too():
    case = PARCELS.model_copy(
        update={
            "serving": Serving(
                entity_keys=("depot",),
                request_fields=(RequestField(name="asked_at", type="timestamp"),),
            )
        }
    )
    (sent,) = request_rows(case, parcels(1))
    assert set(sent) == {"depot", "asked_at"}
