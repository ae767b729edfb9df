"""How object storage is reached: what is missing, misspelt or contradictory is refused at start."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.errors import SettingsError
from include.settings import STORES, Settings, load_settings
from include.settings.object_storage import access, location

PLANTED = "planted-5b1e"  # a secret that nobody may see
COMPLETE = {
    "FLIGHTDECK_TABLES_URI": "s3://lake/team-a/tables",
    "AWS_ENDPOINT_URL": "http://storage:8333",
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": PLANTED,
}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3a://lake", r"kind 's3a' is not known; did you mean s3://\?; valid are .*s3://bucket"),
        ("gs://lake/x", r"kind 'gs' is not known; valid are the path of a folder and s3://bucket"),
        ("s3://", "'' is no name of a bucket"),
        ("s3://Lake/x", "'Lake' is no name of a bucket: 3 to 63 small letters"),
        ("s3://lake/a b", "prefix 'a b' holds other signs"),
        ("s3://lake//a", "prefix '/a' holds other signs"),
    ],
)
def test_an_address_that_is_none_is_refused_with_those_that_are(uri: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"FLIGHTDECK_TABLES_URI is .*{message}"):
        load_settings({**COMPLETE, "FLIGHTDECK_TABLES_URI": uri})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, "ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_ACCESS_KEY_ID": ""}, "SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"),
        ({"AWS_ENDPOINT_URL": ""}, r"Neither AWS_REGION nor AWS_ENDPOINT_URL is set"),
        ({"AWS_ENDPOINT_URL": "storage:8333"}, r"AWS_ENDPOINT_URL is no address.*http://host"),
        ({"AWS_ENDPOINT_URL": f"http://u:{PLANTED}@h"}, "AWS_ENDPOINT_URL is no address"),
        ({"AWS_ENDPOINT": "http://h"}, r"AWS_ENDPOINT is read by nothing.*mean AWS_ENDPOINT_URL\?"),
        ({"AWS_SECRET_KEY": PLANTED}, r"mean AWS_SECRET_ACCESS_KEY\?.*AWS_SECRET_ACCESS_KEY_FILE"),
        ({"AWS_SECRET_ACCESS_KEY_FILE": "/x"}, "are both set; keep one, best the file"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "nothing says who asks there. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
    ],
)
def test_what_is_missing_misspelt_or_contradictory_is_refused_at_start(
    changes: dict[str, str], message: str
) -> None:
    variables = {name: value for name, value in {**COMPLETE, **changes}.items() if value}
    with pytest.raises(SettingsError, match=message) as refused:
        load_settings(variables)
    assert PLANTED not in str(refused.value)
    load_settings({**variables, "FLIGHTDECK_TABLES_URI": "/srv/tables"})  # nobody's matter there


def test_a_secret_comes_from_its_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{PLANTED}\n")
    variables = {**COMPLETE, "AWS_SECRET_ACCESS_KEY_FILE": str(file)}
    del variables["AWS_SECRET_ACCESS_KEY"]
    how = access(variables)
    assert how.variables()["AWS_SECRET_ACCESS_KEY"] == PLANTED
    assert PLANTED not in repr(how) + repr(load_settings(variables))
    file.write_text("")
    with pytest.raises(SettingsError, match=r"AWS_SECRET_ACCESS_KEY_FILE is .*, which is empty"):
        load_settings(variables)


def test_a_machine_may_have_an_account_of_its_own() -> None:
    how = access({"AWS_REGION": "eu-central-1"})
    assert (how.key_id, how.region, how.endpoint) == (None, "eu-central-1", None)
    token = {"AWS_ENDPOINT_URL": "https://s3", "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"}
    assert access(token).key_id is None
    own = access({**COMPLETE, "AWS_ENDPOINT_URL_S3": "https://own"})
    assert own.endpoint == "https://own"


def test_a_place_is_read_with_and_without_a_prefix() -> None:
    assert location("s3://lake").key("a/b") == "a/b"
    assert location("s3://lake/team/x/").key("a") == "team/x/a"
    assert str(location("s3://lake/team/")) == "s3://lake/team"


def test_what_has_a_home_of_its_own_reaches_no_store_of_the_environment(tmp_path: Path) -> None:
    server, place = f"postgresql://me:{PLANTED}@db/x", "s3://lake/x"
    values = {
        "TABLES_URI": place,
        "MODELS_URI": place,
        "MLFLOW_ARTIFACTS": place,
        "REPORTS_URI": place,
        "MLFLOW_DATABASE": server,
        "AIRFLOW_DATABASE": server,
        "FEATURE_REGISTRY": server,
        "LEDGER_URL": server,
        "ONLINE_STORE": server,
    }
    named = {f"FLIGHTDECK_{name}": value for name, value in values.items()}
    settings = load_settings({**COMPLETE, **named})
    assert {name.lower() for name in values} == {*STORES, "tables_uri"}
    own = settings.with_own_stores(tmp_path)
    shown = " ".join(str(getattr(own, field)) for field in Settings.model_fields)
    assert place not in shown
    assert "@db/" not in shown
    assert own.tables_uri == str(tmp_path / "tables")
