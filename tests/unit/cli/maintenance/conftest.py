"""The tools, installed once."""

import pytest

from cli.maintenance.tools import tool
from tests.unit.bundles.made import home_of


@pytest.fixture(scope="session")
def tools_home(tmp_path_factory):
    """A home with the tools, as they are locked."""
    settings = home_of(tmp_path_factory.mktemp("tools"))
    tool(settings, "pip-audit")
    return settings
