"""Tables in object storage: what it refuses or cannot answer is said, and nothing is lost."""

from __future__ import annotations

import polars as pl
import pytest

from include.errors import StorageError
from include.object_storage import ObjectStore
from include.tables.ledger import Ledger
from include.tables.scan import scan_uri
from include.tables.store import TableStore
from proofs.harness.object_store import SECRET, ObjectStoreServer

pytestmark = pytest.mark.slow
ROWS = pl.DataFrame({"a": [1, 2]})
MORE = pl.DataFrame({"a": [3]})


@pytest.fixture
def server(object_store: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch) -> ObjectStoreServer:
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    return object_store


def test_a_wrong_secret_is_refused_and_shown_to_nobody(
    server: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = f"{server.url}/wrong-secret"
    TableStore(root).replace_all("t", ROWS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-77aa")
    tables = TableStore(root)
    ledger = Ledger(tables, "l", {"a": pl.Int64}, key=("a",))
    for use in (
        lambda: tables.read("t"),
        lambda: tables.replace_all("t", MORE),
        lambda: tables.replace_unread("t", MORE),
        lambda: tables.append_once("t", MORE, consumer="c", offset=1),
        lambda: ledger.append(MORE),
        lambda: ledger.upsert(MORE),
        lambda: scan_uri(tables.uri("t")),
        lambda: ObjectStore(root).read("t"),
        lambda: ObjectStore(root).create("t", b""),
    ):
        with pytest.raises(StorageError, match=r"wrong-secret.* refuses the key.*_FILE") as refused:
            use()
        assert "planted-77aa" not in str(refused.value)
        assert refused.value.__cause__ is None
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert TableStore(root).read("t").sort("a").equals(ROWS)


def test_a_bucket_that_is_not_there_is_named(server: ObjectStoreServer) -> None:
    with pytest.raises(StorageError, match="The bucket of s3://nowhere/x does not exist"):
        ObjectStore("s3://nowhere/x").tags()


def test_a_storage_that_is_away_loses_nothing_and_a_repeated_step_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ObjectStoreServer() as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        tables = TableStore(f"{server.url}/away")
        tables.replace_all("t", ROWS)
        tables.append_once("log", ROWS, consumer="c", offset=1)
        server.stop()
        for use in (
            lambda: tables.read("t"),
            lambda: tables.replace_unread("t", MORE),
            lambda: tables.append_once("log", MORE, consumer="c", offset=2),
        ):
            with pytest.raises(StorageError, match=r"cannot be reached.*run the step again"):
                use()
        server.start()
        assert tables.read("t").sort("a").equals(ROWS)
        assert tables.replace_unread("t", MORE).version == 1
        tables.append_once("log", MORE, consumer="c", offset=2)
        assert tables.append_once("log", MORE, consumer="c", offset=2) is None
        assert tables.read("log")["a"].sort().to_list() == [1, 2, 3]


def test_what_was_read_is_replaced_by_one_of_two_writers(server: ObjectStoreServer) -> None:
    objects = ObjectStore(f"{server.url}/pair")
    assert objects.read("plan") is None
    assert objects.create("plan", b"1")
    assert objects.create("plan", b"1")  # an answer that was lost: it is this writer's content
    assert not objects.create("plan", b"2")
    read = objects.read("plan")
    assert read is not None
    assert objects.replace("plan", b"3", read.tag)
    assert not objects.replace("plan", b"4", read.tag)
    assert list(objects.tags()) == ["plan"]
    objects.delete(["plan", "nothing"])
    assert objects.tags() == {}


def test_a_storage_that_does_not_order_writers_is_refused_at_start(
    server: ObjectStoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = ObjectStore(f"{server.url}/order")
    objects.require_conditions()
    assert objects.tags() == {}
    put = objects._client.put_object

    def without_conditions(**request: object) -> object:
        return put(**{name: request[name] for name in ("Bucket", "Key", "Body")})

    monkeypatch.setattr(objects._client, "put_object", without_conditions)
    with pytest.raises(StorageError, match="does not honour conditional puts"):
        objects.require_conditions()
