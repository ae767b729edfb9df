"""What `make bench-serving` aims at: a function for each question, and the rows of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofs.bench.serving.measurements import Figures, ServerFigures, speed_ratio

Row = dict[str, Any]
Parts = Mapping[str, float]
Routing = Mapping[str, float]
"""What `proofs.bench.serving.routing` prints."""

OURS, QUIET, SECOND = "ours", "ours, nothing recorded", "ours, synced each second"
BENTOML = "ours under BentoML"
BARE, MLFLOW = "bare ASGI, ONNX Runtime", "mlflow models serve"
LOADS = {"closed": "16 connections", "single": "1 connection"}
PEERS = ("FastAPI", "plain BentoML", "MLServer", MLFLOW)
BARE_AIM, RECORDING_AIM, MANY_AIM, TIMES_AIM = 0.7, 0.15, 0.8, 2.0
ROUTING_AIM = 0.03


def aims(figures: Figures, parts: Parts) -> list[Row]:
    """Rows `{"name", "ratio", "aim", "reached", "detail"}`; `parts` are microseconds in process."""
    return [
        *against_peers(figures),
        *of_the_bare_limit(figures),
        *share_of_recording(figures, parts),
        many_rows(figures, parts),
        explanation(figures),
        *lookup(parts),
        under_bentoml(figures),
        beside_a_shadow(figures),
    ]


def of_routing(routing: Routing, figures: Figures) -> list[Row]:
    """What share of an answer's processor time do router and plan take?

    What they take is measured in process and paired, an answer over HTTP in the same run. Two arms
    of one micro-batch are two calls of a model: that is what the versions cost, a row of its own.
    """
    whole = figures[OURS].median("lookup", "cpu")
    rows = []
    for way, less, aim, what in (
        ("one arm", "one arm less fixed", ROUTING_AIM, "router and plan"),
        ("two arms", "two arms less halved", ROUTING_AIM, "router and plan"),
        ("new units", "two arms, new units less halved", ROUTING_AIM, "router and plan"),
        ("two arms", "halved less fixed", None, "second call of a model"),
    ):
        more = routing[less]
        detail = f"{more:.1f} us more, of {whole:.0f} us an answer over HTTP, looked up, 16 at once"
        name = f"{what}, share of the processor time, {way}"
        rows.append(at_most(name, more / (whole + more), aim, detail))
    return rows


def against_peers(figures: Figures) -> list[Row]:
    """Is it faster than what serves the same model otherwise?"""
    ours, second = figures[OURS], figures[SECOND]
    return [
        *(_against(ours, name, figures[name], kind) for kind in LOADS for name in PEERS),
        *(
            _against(second, name, figures[name], "single", "synced each second, ")
            for name in PEERS
        ),
    ]


def of_the_bare_limit(figures: Figures) -> list[Row]:
    """What share of the speed of a server that does nothing but predict is left?"""
    ours, second, bare = figures[OURS], figures[SECOND], figures[BARE]
    rows = []
    for kind, load in LOADS.items():
        detail = (
            f"{ours.speed(kind):.0f} of {bare.speed(kind):.0f} a second; processor"
            f" {ours.median(kind, 'cpu'):.0f} against {bare.median(kind, 'cpu'):.0f} us an answer"
        )
        name = f"of the bare limit, {load}"
        rows.append(at_least(name, speed_ratio(ours, bare, kind), BARE_AIM, detail))
        name = f"synced each second, {name}"
        rows.append(at_least(name, speed_ratio(second, bare, kind), BARE_AIM, ""))
    rows.append(
        at_least(
            "looked up, of the bare limit, 16 connections",
            ours.speed("lookup") / bare.speed("closed"),
            None,
            ours.summary("lookup"),
        )
    )
    return rows


def share_of_recording(figures: Figures, parts: Parts) -> list[Row]:
    """What share of speed and of processor time do log and metrics take?"""
    ours, quiet, second = figures[OURS], figures[QUIET], figures[SECOND]
    rows = []
    for kind, load in LOADS.items():
        synced = parts["write and sync 1 kB" if kind == "single" else "write and sync 16 kB"]
        detail = (
            f"{ours.speed(kind):.0f} against {quiet.speed(kind):.0f} a second with nothing"
            f" recorded; the disk alone takes {synced:.0f} us a commit"
        )
        share, name = 1.0 - speed_ratio(ours, quiet, kind), "log and metrics, share of the speed"
        rows.append(at_most(f"{name}, {load}", share, RECORDING_AIM, detail))
    for kind, load in LOADS.items():
        detail = f"{second.speed(kind):.0f} against {quiet.speed(kind):.0f} a second"
        share = 1.0 - speed_ratio(second, quiet, kind)
        name = f"synced each second, log and metrics, share of the speed, {load}"
        rows.append(at_most(name, share, RECORDING_AIM, detail))
    more = ours.median("closed", "cpu") - quiet.median("closed", "cpu")
    share, detail = more / ours.median("closed", "cpu"), f"{more:.0f} us an answer of the server's"
    name = "log and metrics, share of the processor time"
    return [*rows, at_most(name, share, None, f"{detail} processes")]


def many_rows(figures: Figures, parts: Parts) -> Row:
    """Does a request of many rows cost hardly more than predicting them?"""
    in_process = parts["score 100 rows, package"]
    answered = 1e6 / figures[OURS].speed("many")
    detail = (
        f"100 rows, features in the request: {answered:.0f} us an answer against {in_process:.0f}"
        " in process (transform and score)"
    )
    return at_least("many rows, of in-process prediction", in_process / answered, MANY_AIM, detail)


def explanation(figures: Figures) -> Row:
    """What does an explanation cost beside a prediction?"""
    explained, predicted = (figures[OURS].median(kind, "p50") for kind in ("explain", "single"))
    detail = f"{explained:.2f} against {predicted:.2f} ms"
    name = "/explain to /predict, p50, 1 connection"
    return at_most(name, explained / predicted, TIMES_AIM, detail)


def lookup(parts: Parts) -> list[Row]:
    """What does a look-up cost beside the read that it cannot do without?"""
    rows, raw, feast = [], parts["raw read"], parts["get_online_features"]
    for kind, case in (("kept", "values kept since"), ("read", "store just changed")):
        took = parts[f"look-up, {kind}"]
        detail = f"{took:.0f} against {raw:.0f} us; get_online_features {feast:.0f} us"
        rows.append(at_most(f"look-up to raw read, {case}", took / raw, TIMES_AIM, detail))
    return rows


def under_bentoml(figures: Figures) -> Row:
    """What does our own server gain over BentoML's?"""
    ratio = speed_ratio(figures[OURS], figures[BENTOML], "closed")
    return at_least("to the same routes under BentoML, 16 connections", ratio, None, "")


def beside_a_shadow(figures: Figures) -> Row:
    """Do callers notice that a shadow scores what they were answered?"""
    alone, shadowed = (figures[OURS].median(f"open, {how}", "p99") for how in ("alone", "shadowed"))
    detail = f"{shadowed:.1f} against {alone:.1f} ms, looked up, 150 requests a second"
    return at_most("p99 with a shadow to p99 without", shadowed / alone, None, detail)


def _against(ours: ServerFigures, name: str, peer: ServerFigures, kind: str, how: str = "") -> Row:
    aim, title = 3.0 if name == MLFLOW else 1.0, f"{how}to {name}, {LOADS[kind]}"
    if peer.missing:
        return {"name": title, "ratio": None, "aim": aim, "reached": None, "detail": peer.missing}
    detail = f"{ours.summary(kind)} against {peer.summary(kind)}"
    row = at_least(title, speed_ratio(ours, peer, kind), aim, detail)
    # Faster and with a longer tail would be another bargain, not a better one.
    row["reached"] = row["reached"] and ours.median(kind, "p99") <= peer.median(kind, "p99")
    return row


def at_least(name: str, ratio: float, aim: float | None, detail: str) -> Row:
    """A row whose ratio should reach its aim."""
    return _row(name, ratio, aim, None if aim is None else ratio >= aim, detail)


def at_most(name: str, ratio: float, aim: float | None, detail: str) -> Row:
    """A row whose ratio should stay under its aim."""
    return _row(name, ratio, aim, None if aim is None else ratio <= aim, detail)


def _row(name: str, ratio: float, aim: float | None, reached: bool | None, detail: str) -> Row:
    return {
        "name": name,
        "ratio": round(ratio, 4),
        "aim": aim,
        "reached": reached,
        "detail": detail,
    }
