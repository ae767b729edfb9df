"""The proofs stay here: neither what `bentoml build` packs nor an exported model holds any of them,
and nothing that is packed needs them.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest
import yaml
from pathspec import PathSpec

from include.model.export import export_model
from include.model.package import load_model
from include.settings import PROJECT_ROOT
from proofs.harness.home import home_settings
from tests.unit.model.synthetic import fitted_package, parcels

BENTOFILE = yaml.safe_load((PROJECT_ROOT / "bentofile.yaml").read_text())
PACKED = ("include", "serving", "feature_repo")


def tracked(*patterns: str) -> list[str]:
    command = ["git", "ls-files", *patterns]
    return subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_a_bento_holds_none_of_the_proofs_and_none_of_what_only_they_need():
    include, exclude = (
        PathSpec.from_lines("gitignore", BENTOFILE[part]) for part in ("include", "exclude")
    )
    packed = set(include.match_files(tracked())) - set(exclude.match_files(tracked()))
    assert {"include/settings/__init__.py", "serving/service.py"} <= packed
    assert {name.split("/")[0] for name in packed} == {*PACKED, "docs", "requirements.txt"}


@pytest.mark.parametrize("package", PACKED)
def test_nothing_that_is_packed_names_the_proofs(package: str):
    files = tracked(f"{package}/*.py")
    assert files
    for name in files:
        for node in ast.walk(ast.parse((PROJECT_ROOT / name).read_text())):
            match node:
                case ast.Import():
                    named = [alias.name for alias in node.names]
                case ast.ImportFrom(module=str(module)):
                    named = [module]
                case ast.Constant(value=str(text)):
                    named = [text]
                case _:
                    continue
            assert [text for text in named if f"{text}.".startswith("proofs.")] == [], name


def test_an_exported_model_holds_its_own_files_and_a_reader_that_needs_nothing_of_ours(tmp_path):
    settings = home_settings(tmp_path / "home")
    fitted_package(tmp_path / "package", parcels())
    folder = tmp_path / "export"
    export_model(settings, load_model(tmp_path / "package"), 1, folder)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    recorded = json.loads((folder / "digest.json").read_text())["files"]
    assert files == {*recorded, "digest.json", "signature.json"}
    assert set(recorded) == {
        "README.md",
        "example.json",
        "features.json",
        "model.onnx",
        "model.ubj",
        "reader.py",
    }
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse((folder / "reader.py").read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "xgboost"}
