"""Feast without its checks of types is what it was, and with them where definitions are checked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.settings import PROJECT_ROOT

DEFINES = """
import sys
import include.lean_feast
if "with checks" in sys.argv:
    include.lean_feast.with_checks()
from datetime import timedelta
import typeguard
from feast import Entity, FeatureView, FileSource, ValueType
from feast.types import Int64
from feast import Field
assert "typeguard" in typeguard.typechecked.__module__
source = FileSource(path="rows.parquet", timestamp_field="at")
key, field = Entity(name="key", value_type=ValueType.INT64), Field(name="number", dtype=Int64)
view = FeatureView(
    name="view", entities=[key], ttl=timedelta(days=1), schema=[field], source=source
)
assert view.name == "view"
try:
    Field(name=5, dtype=Int64)
except typeguard.TypeCheckError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("checks", "printed"), [("with checks", 'argument "name" (int)'), ("without", "")]
)
def test_a_value_of_another_type_is_named_where_types_are_checked(checks, printed):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DEFINES, checks],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert bool(printed) == bool(done.stdout)
