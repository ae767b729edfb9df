from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from feast.infra.online_stores.redis import RedisOnlineStore

from include.errors import SettingsError
from include.settings import load_settings
from include.settings.online_store import masked, online_store_config

HERE = Path("/home/of/feast")


def redis_options(address: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Hosts and options as Feast reads them out of its own configuration."""
    config = online_store_config(address, HERE)
    assert config["type"] == "redis"
    nodes, options = RedisOnlineStore._parse_connection_string(config["connection_string"])
    return nodes, {name: value for name, value in options.items() if "timeout" not in name}


def test_sqlite_lies_in_the_stores_folder():
    assert online_store_config("sqlite", HERE) == {
        "type": "sqlite",
        "path": "/home/of/feast/online.db",
    }


@pytest.mark.parametrize(
    ("address", "host", "port", "options"),
    [
        ("redis://cache", "cache", "6379", {"db": 0}),
        ("redis://127.0.0.1:7000/3", "127.0.0.1", "7000", {"db": 3}),
        (
            "rediss://reader:secret@cache/1",
            "cache",
            "6379",
            {"db": 1, "username": "reader", "password": "secret", "ssl": True},
        ),
        ("redis://:1234@cache", "cache", "6379", {"db": 0, "password": "1234"}),
        ("redis://:true@cache", "cache", "6379", {"db": 0, "password": "true"}),
        (
            "redis://:a%2Cb%3D%22%5C%40%2F%25%C3%A9@cache",
            "cache",
            "6379",
            {"db": 0, "password": 'a,b="\\@/%é'},
        ),
    ],
)
def test_feast_reads_out_of_a_redis_address_what_was_meant(
    address: str, host: str, port: str, options: dict[str, Any]
):
    assert redis_options(address) == ([{"host": host, "port": port}], options)


def test_a_postgresql_address_is_read_part_by_part():
    config = online_store_config(
        "postgresql://us%40er:p%40ss%2Fword@db:5433/feat?sslmode=verify-full&sslrootcert=/ca.pem&schema=ml",
        HERE,
    )
    assert config == {
        "type": "postgres",
        "host": "db",
        "port": 5433,
        "database": "feat",
        "user": "us@er",
        "password": "p@ss/word",
        "sslmode": "verify-full",
        "sslrootcert_path": "/ca.pem",
        "db_schema": "ml",
    }
    short = online_store_config("postgresql://user@db/feat", HERE)
    assert (short["port"], short["password"], short["sslmode"]) == (5432, "", "prefer")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("memcached://cache", "its kind 'memcached' is not known; valid are sqlite, redis://"),
        ("postgres", "it is no kind of store; valid are sqlite"),
        ("redis:///1", "it lacks a host"),
        ("redis://[::1]:6379", "it lacks a host"),
        ("redis://cache/one", "the number of a database"),
        ("redis://cache?db=1", "the number of a database"),
        ("postgresql://user:secret@db", "needs a user and a database"),
        ("postgresql://db/features", "needs a user and a database"),
        (
            "postgresql://user:secret@db/features?timeout=3",
            r"\['timeout'\] are not known, there are .*'sslmode'",
        ),
        ('redis://:sec"ret@cache', "cannot be read as an address"),
        ("redis://:sec/ret@cache", "cannot be read as an address.*%XX"),
    ],
)
def test_a_wrong_address_is_refused_with_what_is_valid(address: str, said: str):
    with pytest.raises(SettingsError, match=rf"FLIGHTDECK_ONLINE_STORE is .*{said}") as raised:
        load_settings({"FLIGHTDECK_ONLINE_STORE": address})
    assert "sec" not in str(raised.value)
    assert "secret" not in str(raised.value.__cause__)


def test_a_password_is_not_shown():
    address = "redis://user:secret@cache:6379/0"
    assert masked(address) == "redis://***@cache:6379/0"
    assert masked("redis://:secret") == "redis://***"
    assert masked("http://127.0.0.1:3000/v1?x=1") == "http://127.0.0.1:3000/v1?x=1"
    assert masked("many") == "many"
    settings = load_settings({"FLIGHTDECK_ONLINE_STORE": address})
    assert settings.online_store == address
    assert "secret" not in repr(settings)
