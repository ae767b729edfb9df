from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from include.errors import SettingsError
from include.files import sqlite_url
from include.settings import load_settings
from tests.homes import ODD_NAME


@pytest.mark.parametrize("name", ["a[b", "a]b", "a\\b", "a^b", "a|b", "a%41b", 'a"b', "a\nb"])
def test_a_home_below_which_no_table_can_be_written_is_refused_with_what_to_do(name, tmp_path):
    with pytest.raises(SettingsError, match=r"FLIGHTDECK_HOME is .*another home"):
        load_settings({"FLIGHTDECK_HOME": str(tmp_path / name)})


@pytest.mark.parametrize("name", [ODD_NAME, "100% of it", "it's", "a;b", "a b/var"])
def test_any_other_home_is_taken_and_sqlites_address_leads_to_its_file(name, tmp_path):
    home = load_settings({"FLIGHTDECK_HOME": str(tmp_path / name)}).home
    assert home == tmp_path / name
    assert make_url(sqlite_url(home / "x.db") + "?timeout=30").database == str(home / "x.db")


def test_the_address_of_a_plain_path_is_what_it_was():
    assert sqlite_url(Path("/srv/a b/x.db")) == "sqlite:////srv/a b/x.db"
