import pytest

from include.errors import SettingsError
from include.settings import load_settings
from include.settings.airflow_database import airflow_database_url


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("embedded", None),
        ("sqlite", None),
        (
            "postgresql://me:p%40ss@db.intranet:5433/airflow?sslmode=require",
            "postgresql+psycopg://me:p%40ss@db.intranet:5433/airflow?sslmode=require",
        ),
        (
            "postgresql+psycopg://me@/airflow?host=%2Frun%2Fpostgresql",
            "postgresql+psycopg://me@/airflow?host=%2Frun%2Fpostgresql",
        ),
    ],
)
def test_a_value_becomes_the_address_that_airflow_takes(value, url):
    assert airflow_database_url(value) == url
    assert load_settings({"FLIGHTDECK_AIRFLOW_DATABASE": value}).airflow_database == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("postgres", "it names none"),
        ("SQLite", "it names none"),
        ("mysql://me:s3cret@db/airflow", "its kind 'mysql' is not known"),
        ("postgresql+asyncpg://me:s3cret@db/airflow", "its kind 'postgresql.asyncpg' is not"),
        ("postgresql://me:s3cret@db", "needs a host, a user and a database"),
        ("postgresql://db/airflow", "needs a host, a user and a database"),
        ("postgresql://me:s3cret@/airflow", "needs a host, a user and a database"),
        ("postgresql://me:s3cret@db:port/airflow", "cannot be read as an address"),
        ("postgresql://me:s3cret @db/airflow", "cannot be read as an address"),
    ],
)
def test_any_other_is_refused_with_what_is_valid_and_without_its_password(value, reason):
    with pytest.raises(SettingsError, match=reason) as caught:
        load_settings({"FLIGHTDECK_AIRFLOW_DATABASE": value})
    text = str(caught.value)
    assert "valid are embedded" in text
    assert "FLIGHTDECK_AIRFLOW_DATABASE" in text
    assert "s3cret" not in text
