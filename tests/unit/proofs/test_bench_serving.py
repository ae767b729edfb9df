"""The measuring instruments of `make bench-serving`: the load, and what becomes a missed aim."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from include.errors import PlatformError
from proofs.bench.serving.aims import BARE, BENTOML, OURS, QUIET, SECOND, aims, of_routing
from proofs.bench.serving.load import closed_loop, open_loop, request_bytes
from proofs.bench.serving.main import require_own
from proofs.bench.serving.measurements import ServerFigures
from proofs.bench.serving.report import print_parts, print_servers
from proofs.bench.serving.stores import store_rows

LOADS = ("16 connections", "1 connection")
PEERS = ("FastAPI", "plain BentoML", "MLServer", "mlflow models serve")
REQUESTS = [request_bytes("/predict", b'{"rows":[]}')]
PARTS = {
    "score 100 rows, package": 1000.0,
    "write and sync 1 kB": 100.0,
    "write and sync 16 kB": 120.0,
    "look-up, kept": 20.0,
    "look-up, read": 90.0,
    "raw read": 40.0,
    "get_online_features": 700.0,
}
OTHERS = (
    "ours, nothing recorded",
    "ours under BentoML",
    "bare ASGI, ONNX Runtime",
    "FastAPI",
    "plain BentoML",
    "mlflow models serve",
)


@contextlib.asynccontextmanager
async def answering(
    *, stall: float = 0.0, status: int = 200, chunked: bool = False
) -> AsyncIterator[int]:
    """A server whose first answer takes `stall` seconds; its port."""
    waited = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waited
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(
                    int(head.lower().split(b"content-length:")[1].split(b"\r")[0])
                )
                if not waited:
                    waited = True
                    await asyncio.sleep(stall)
                body = (
                    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                    if chunked
                    else b"CONTENT-LENGTH: 2\r\n\r\n{}"
                )
                writer.write(b"HTTP/1.1 %d X\r\n" % status + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def measured(loop: str, seconds: float, **server: object) -> dict[str, object]:
    async with answering(**server) as port:  # type: ignore[arg-type]
        if loop == "closed":
            return await closed_loop(port, REQUESTS, 3, seconds)
        return await open_loop(port, REQUESTS, 100.0, 1, seconds)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_closed_loop_counts_whole_answers(chunked: bool):
    found = asyncio.run(measured("closed", 0.3, chunked=chunked))
    assert (found["errors"], str(found["example"])[:6]) == (
        0,
        "200 {}" if not chunked else "200 2\r",
    )
    assert float(found["per_second"]) == pytest.approx(int(found["answers"]) / 0.3, rel=0.2)  # type: ignore[arg-type,call-overload]


def test_every_answer_that_is_not_200_is_an_error():
    found = asyncio.run(measured("closed", 0.1, status=503))
    assert found["errors"] == found["answers"] != 0


def test_an_open_loop_counts_the_wait_of_requests_that_stood_behind_a_slow_one():
    found = asyncio.run(measured("open", 1.0, stall=0.4))
    assert found["answers"] == 100
    assert float(found["p99"]) > 300.0  # type: ignore[arg-type]


def figures(per_second: float, p99: float) -> ServerFigures:
    load = {"per_second": per_second, "p50": 1.0, "p99": p99, "cpu": 100.0, "errors": 0.0}
    kinds = ("closed", "single", "open", "lookup", "many", "explain")
    return ServerFigures({kind: [load] for kind in (*kinds, "open, alone", "open, shadowed")})


def test_faster_with_a_longer_tail_is_missed_and_what_did_not_run_is_neither():
    servers = everything()
    servers["FastAPI"] = figures(500, 9.0)
    rows = {row["name"]: row for row in aims(servers, PARTS)}
    assert rows["to FastAPI, 16 connections"]["ratio"] == 2.0
    assert rows["to FastAPI, 16 connections"]["reached"] is False
    assert rows["to mlflow models serve, 16 connections"]["reached"] is True
    assert (
        rows["synced each second, to FastAPI, 1 connection"]["ratio"],
        rows["to FastAPI, 1 connection"]["ratio"],
    ) == (2.4, 2.0)
    assert (
        rows["to MLServer, 16 connections"]["ratio"],
        rows["to MLServer, 16 connections"]["reached"],
    ) == (None, None)
    assert rows["look-up to raw read, values kept since"]["reached"] is True
    assert rows["look-up to raw read, store just changed"]["reached"] is False


def everything() -> dict[str, ServerFigures]:
    """Figures of every server, MLServer not installed."""
    return {
        "ours": figures(1000, 10.0),
        "ours, synced each second": figures(1200, 8.0),
        **{name: figures(200, 20.0) for name in OTHERS},
        "MLServer": ServerFigures(missing="not installed: no network"),
    }


def test_every_question_has_its_rows_in_the_order_of_the_page():
    assert [row["name"] for row in aims(everything(), PARTS)] == [
        *(f"to {peer}, {load}" for load in LOADS for peer in PEERS),
        *(f"synced each second, to {peer}, 1 connection" for peer in PEERS),
        *(
            f"{how}of the bare limit, {load}"
            for load in LOADS
            for how in ("", "synced each second, ")
        ),
        "looked up, of the bare limit, 16 connections",
        *(f"log and metrics, share of the speed, {load}" for load in LOADS),
        *(f"synced each second, log and metrics, share of the speed, {load}" for load in LOADS),
        "log and metrics, share of the processor time",
        "many rows, of in-process prediction",
        "/explain to /predict, p50, 1 connection",
        "look-up to raw read, values kept since",
        "look-up to raw read, store just changed",
        "to the same routes under BentoML, 16 connections",
        "p99 with a shadow to p99 without",
    ]


def test_the_servers_and_the_parts_are_tables_at_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_servers(everything(), 150.0)
    print_parts(PARTS)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    words = [" ".join(line.split()) for line in lines]
    assert "server load per s p50 ms p99 ms cpu us errors" in words
    assert "ours, synced each second 16 1200 1.00 8.00 100 0" in words
    assert "MLServer: not installed: no network" in words
    assert "raw read 40.0" in words


def test_a_look_up_in_another_store_is_measured_against_a_reader_by_hand_or_says_why_not():
    took = {"raw read": 100.0, "look-up": 201.0, "get_online_features": 900.0}
    redis, postgres = store_rows(
        {"Redis": took, "PostgreSQL": {"missing": "not measured: no server"}}
    )
    assert (redis["name"], redis["ratio"], redis["aim"], redis["reached"]) == (
        "look-up to raw read, Redis",
        2.01,
        2.0,
        False,
    )
    assert (postgres["ratio"], postgres["reached"], postgres["detail"]) == (
        None,
        None,
        "not measured: no server",
    )


def test_what_routing_costs_is_a_share_of_an_answer_without_what_the_models_cost():
    routing = {
        "one arm less fixed": 1.0,
        "two arms less halved": 2.0,
        "two arms, new units less halved": 5.0,
        "halved less fixed": 25.0,
    }
    figures = everything()
    figures["ours"].loads["lookup"] = [{**figures["ours"].loads["lookup"][0], "cpu": 100.0}]
    one, two, new, second = of_routing(routing, figures)
    assert (one["ratio"], one["reached"]) == (0.0099, True)
    assert (two["ratio"], two["reached"]) == (0.0196, True)
    assert (new["ratio"], new["reached"]) == (0.0476, False)
    assert (second["ratio"], second["aim"]) == (0.2, None)


def test_a_server_of_ours_that_does_not_answer_ends_the_bench_before_the_load() -> None:
    names = (OURS, SECOND, QUIET, BENTOML, BARE)
    measured = {name: ServerFigures() for name in names}
    require_own(measured)
    for name in names:
        with pytest.raises(PlatformError, match=f"'{name}' of this bench did not start: 500"):
            require_own({**measured, name: ServerFigures(missing="did not start: 500")})
