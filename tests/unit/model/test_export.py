"""An exported model answers like the package, in a process that cannot import Flightdeck, from a
folder that proves what it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.application import invoke
from include.errors import DigestMismatch, RegistryError, SignatureError
from include.features.retrieval import point_in_time
from include.model.digests import verify_files
from include.model.embedded.reader import EmbeddedModel
from include.model.export import export_model
from include.model.package import ScoringModel, golden_rows
from include.model.signing import public_key, verify_signature
from include.scoring.batch import read_entities
from include.scoring.champion import champion_model
from include.settings import PROJECT_ROOT
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World, build_world

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]

# -I: no current folder, no PYTHONPATH; and whoever asks for Flightdeck is refused.
READ = """
import json, sys
REFUSED = (
    "include serving plugins dags cli feature_repo proofs polars pandas pydantic".split()
)
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in REFUSED:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
sys.dont_write_bytecode = True
folder, engine, rows = sys.argv[1:4]
sys.path.insert(0, folder)
from reader import EmbeddedModel
print(json.dumps(EmbeddedModel(folder, engine).score(json.load(open(rows))).tolist()))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.getbasetemp() / "exported_world")


@pytest.fixture(scope="module")
def model(world: World) -> ScoringModel:
    return champion_model(world.settings, FLIGHTS)[1]


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes."""
    target = tmp_path_factory.mktemp("export") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTDECK_HOME", str(world.settings.home))
        patch.setenv("FLIGHTDECK_MLFLOW_TRACKING_URI", world.settings.mlflow_tracking_uri)
        assert invoke(["export", "flight_delays", str(world.version), "--to", str(target)]) == 0
    return target


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "xgboost"])
def test_real_rows_get_our_scores_where_flightdeck_is_not(world, model, folder, tmp_path, engine):
    featured = point_in_time(
        FLIGHTS, read_entities(FLIGHTS, world.tables, FEBRUARY).head(2000), world.settings
    )
    rows = golden_rows(model.transform, featured)
    assert any(value is None for row in rows for value in row.values())
    (tmp_path / "rows.json").write_text(json.dumps([*rows, {**rows[0], "carrier": "never seen"}]))
    command = [sys.executable, "-I", "-c", READ, str(folder), engine, str(tmp_path / "rows.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores = np.array(json.loads(done.stdout))
    assert np.abs(scores[:-1] - model.score_frame(featured)).max() <= 1e-6
    assert 0.0 <= scores[-1] <= 1.0
    assert np.ptp(scores) > 0.05


def test_the_reader_is_a_script_too(folder, tmp_path):
    example = json.loads((folder / "example.json").read_text())
    command = [sys.executable, "-I", str(folder / "reader.py")]
    done = subprocess.run(
        command,
        input=json.dumps(example["rows"]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert np.abs(np.array(json.loads(done.stdout)) - np.array(example["scores"])).max() <= 1e-6


def test_the_documented_lines_work(folder, tmp_path):
    section = (PROJECT_ROOT / "docs" / "batch-and-streaming.md").read_text().split("## Embedded")[1]
    code = section.split("```python\n")[1].split("```")[0]
    copy = tmp_path / "var" / "export"
    shutil.copytree(folder, copy)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[0.")


def test_the_export_is_digested_and_signed_and_says_where_it_comes_from(
    world, model, folder, tmp_path
):
    verify_files(folder, None)
    verify_signature(folder, public_key(world.settings))
    features = json.loads((folder / "features.json").read_text())
    assert (features["version"], features["package_digest"]) == (world.version, model.digest)
    assert [item["name"] for item in features["inputs"]] == model.transform.feature_names
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "features.json").write_text(json.dumps({**features, "decision_threshold": 0.0}))
    with pytest.raises(ValueError, match=r"features\.json"):
        EmbeddedModel(copy)
    with pytest.raises(DigestMismatch, match=r"features\.json"):
        verify_files(copy, None)
    with pytest.raises(SignatureError):
        verify_signature(copy, public_key(world.settings))


def test_the_reader_names_what_is_wrong(folder):
    reader = EmbeddedModel(folder)
    row = json.loads((folder / "example.json").read_text())["rows"][0]
    for column, value, named in (
        ("carrier", 7, "a category is a string"),
        ("weather_hourly__temperature", float("inf"), "None or a finite number"),
        ("scheduled_departure", "2013-02-01T10:00:00", "needs a time zone"),
    ):
        with pytest.raises(ValueError, match=named):
            reader.score([{**row, column: value}])
    with pytest.raises(ValueError, match="row 0 lacks the column 'carrier'"):
        reader.score([{name: value for name, value in row.items() if name != "carrier"}])


def test_nothing_is_overwritten_and_nothing_false_is_exported(
    world, model, folder, tmp_path, monkeypatch
):
    with pytest.raises(RegistryError, match="is there already"):
        export_model(world.settings, model, 1, folder)
    monkeypatch.setattr("include.model.export.TOLERANCE", -1.0)
    with pytest.raises(RegistryError, match="Nothing is exported"):
        export_model(world.settings, model, 1, tmp_path / "false")
    assert not list(tmp_path.iterdir())


def test_the_reader_imports_nothing_of_ours():
    text = (PROJECT_ROOT / "include" / "model" / "embedded" / "reader.py").read_text()
    assert "include" not in [
        line.split()[1].split(".")[0]
        for line in text.splitlines()
        if line.startswith(("import ", "from "))
    ]
