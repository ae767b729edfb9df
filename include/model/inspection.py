"""What a package is and how it behaves in a fresh process: measured once, judged by the gates and
again before a deployment.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from include.errors import RegistryError
from include.model import skops_file
from include.model.fitted import BOOSTER_FILE, MODEL_FILES, SKOPS_FILE
from include.model.package import (
    BESIDE_MODEL,
    DIGEST_FILE,
    METADATA_FILE,
    RELEASE_FILE,
    SIGNATURE_FILE,
    XGBOOST,
)
from include.settings import PROJECT_ROOT

GOLDEN_TOLERANCE = 1e-6
# `package.module.SomeError: what was wrong`, as Python's trace ends.
EXCEPTION = re.compile(r"[\w.]+(Error|Exception|Mismatch|Refused): ")
ERROR_CHARACTERS = 400
ALLOWED_FILES = frozenset({*MODEL_FILES, *BESIDE_MODEL, DIGEST_FILE, SIGNATURE_FILE, RELEASE_FILE})
FORMATS = {BOOSTER_FILE: "UBJSON", SKOPS_FILE: "a skops file"}
ZIP_START = b"PK"
UBJ_LENGTHS = b"iUIlL"
"""UBJSON writes a key's length in front of it: after the opening brace stands one of these type
marks, never a quote as in JSON.
"""


@dataclass(frozen=True)
class Inspection:
    """Findings on one package, plain JSON by `as_json`.

    `digest` is the one that was asked for; `unsafe` lists files by name and why they must not be
    there; `measured` is what `include.model.probe` measured, None with `problem` where the
    package did not load in its process.
    """

    digest: str
    size_bytes: int
    unsafe: list[str] = field(default_factory=list)
    measured: dict[str, Any] | None = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def inspect_package(folder: Path, digest: str, *, seconds: float = 120.0) -> Inspection:
    """Look at the files, then load, answer and measure in a child process of this interpreter;
    never raises for a bad package.
    """
    size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    measured, problem = _probe(folder, digest, seconds)
    return Inspection(digest, size, unsafe_files(folder), measured, problem)


def unsafe_files(folder: Path) -> list[str]:
    """`<name>: <why>` of everything that a package may not hold: other names, links, folders,
    content of another format.
    """
    unsafe = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            unsafe.append(f"{name}: a symbolic link")
        elif name not in ALLOWED_FILES:
            unsafe.append(f"{name}: not one of the files of a package")
        elif not path.is_file():
            unsafe.append(f"{name}: not a regular file")
        elif not _has_its_format(path):
            unsafe.append(f"{name}: its content is not {FORMATS.get(name, 'JSON')}")
        elif name == SKOPS_FILE:
            unsafe += [f"{name}: {why}" for why in _unsafe_types(folder)]
    models = [name for name in MODEL_FILES if (folder / name).is_file()]
    return (
        unsafe
        if len(models) <= 1
        else [*unsafe, f"{SKOPS_FILE}: a package holds one model, this one holds {models}"]
    )


def _unsafe_types(folder: Path) -> list[str]:
    """Why the types in model.skops must not be loaded; its table of types is read, nothing is
    constructed.
    """
    try:
        metadata = json.loads((folder / METADATA_FILE).read_bytes())
        estimator, declared = (
            str(metadata.get("estimator", XGBOOST)),
            [str(name) for name in metadata.get("trusted_types", [])],
        )
        refused = skops_file.refused_types(
            (folder / SKOPS_FILE).read_bytes(), skops_file.allowed_types(estimator, declared)
        )
    except (OSError, ValueError, RegistryError) as error:
        return [str(error)]
    return [f"it holds the type {name}, which is not allowed for {estimator}" for name in refused]


def _has_its_format(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(2)
    if path.name == SKOPS_FILE:
        return start == ZIP_START
    if path.name == BOOSTER_FILE:
        return len(start) == 2 and start[:1] == b"{" and start[1:] in UBJ_LENGTHS
    return start[:1] == b"{"


def _probe(folder: Path, digest: str, seconds: float) -> tuple[dict[str, Any] | None, str]:
    """What the child measured, or why there is nothing."""
    command = [sys.executable, "-m", "include.model.probe", str(folder), digest]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    try:
        child = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {seconds:g} s"
    if child.returncode < 0:
        return None, f"the process that loaded it died of {signal.Signals(-child.returncode).name}"
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        return (
            None,
            (
                f"the process that loaded it ended with {child.returncode}:"
                f" {_last_words(child.stderr)}"
            ),
        )
    if "error" in answer:
        return None, str(answer["error"])[:ERROR_CHARACTERS]
    return answer, ""


def _last_words(stderr: str) -> str:
    """The error that ended the process, without the trace around it."""
    lines = stderr.strip().splitlines()
    errors = [line for line in lines if EXCEPTION.match(line)]
    return errors[-1][:ERROR_CHARACTERS] if errors else stderr.strip()[-ERROR_CHARACTERS:]
