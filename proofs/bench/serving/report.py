"""The table of all servers and the parts of an answer that `make bench-serving` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.tables import print_table
from proofs.bench.serving.measurements import Figures, ServerFigures

HEADINGS = ("server", "load", "per s", "p50 ms", "p99 ms", "cpu us", "errors")


def print_servers(figures: Figures, rate: float) -> None:
    """Every server under every load: callers that ask as soon as they were answered, or requests a
    second; processor time is that of its processes for an answer.
    """
    loads = {
        "closed": "16",
        "single": "1",
        "open": f"{rate:.0f}/s",
        "lookup": "16 lookup",
        "lookup single": "1 lookup",
    }
    measured = {name: server for name, server in figures.items() if not server.missing}
    print_table(
        "Servers by load: callers without a pause, or requests a second",
        HEADINGS,
        (line for name, server in measured.items() for line in _lines(name, server, loads)),
    )
    for name, server in figures.items():
        if server.missing:
            print(f"{name}: {server.missing}")


def _lines(name: str, server: ServerFigures, loads: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for kind, load in loads.items():
        if kind in server.loads:
            yield (
                name,
                load,
                f"{server.speed(kind):.0f}",
                f"{server.median(kind, 'p50'):.2f}",
                f"{server.median(kind, 'p99'):.2f}",
                f"{server.median(kind, 'cpu'):.0f}",
                f"{sum(turn['errors'] for turn in server.loads[kind]):.0f}",
            )


def print_parts(parts: Mapping[str, float]) -> None:
    """The parts of an answer."""
    print_table(
        "Parts of an answer, in process",
        ("part", "us"),
        ((name, f"{spent:.1f}") for name, spent in parts.items()),
    )
