"""Where the whole pipeline may be tried in a home of its own.

One that is accepted and one that is refused run in `tests/unit/cli/bundles/test_real_pipeline.py`,
as deployments.
"""

import pytest

from cli.application import invoke
from include.errors import PlatformError
from tests.unit.settings.production import production


def test_production_is_not_where_a_pipeline_is_tried(tmp_path, monkeypatch):
    for name, value in production(tmp_path).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PlatformError, match=r"comes before production.*FLIGHTDECK_ENV=staging"):
        invoke(["smoke", "flight_delays"])
