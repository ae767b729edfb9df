"""What MLflow calls a metric whose name holds values of the data: slices and classes.

MLflow takes letters, digits, `_`, `-`, `.`, spaces and few other signs, 250 of them at most. Values
of columns hold anything, and two values are never one: `escape` writes a value so that MLflow takes
it and `unescape` gives it back. Only this module knows how MLflow's names look; everything else
compares the values themselves.

Letters and digits of any script stay as they are, and so do `_`, `-` and a space between two of
them. Every other sign becomes its number in Unicode between colons: `<5` is `:3c:5`, `a/b` is
`a:2f:b`. A missing value is `:missing:`, an empty text `:empty:`. What would be longer than
`LONGEST` signs ends with a part of its SHA-256 instead of its end (`:sha-...:`): still one name for
one value, which the run's table slices.json gives in full.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

LONGEST = 40
"""Five such parts (a crossing's columns and values, a class) fit into MLflow's 250 signs."""
MISSING = ":missing:"
EMPTY = ":empty:"
CROSSED = ":x:"
CLASS = "class."
DIGEST_LENGTH = 24
ESCAPED = re.compile(r":([0-9a-f]+(?:-[0-9a-f]+)*):")

SliceIdentity = tuple[tuple[str, ...], tuple[str | None, ...]]
"""The columns of a slice and their values; None is a missing value."""


def escape(value: str | None) -> str:
    """A value as MLflow takes it within a metric's name: of two values two texts, without a dot."""
    if value is None:
        return MISSING
    if value == "":
        return EMPTY
    escaped = _escaped(value)
    if len(escaped) <= LONGEST:
        return escaped
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
    end = f":sha-{digest}:"
    length = next(
        length
        for length in range(LONGEST, -1, -1)
        if len(_escaped(value[:length])) + len(end) <= LONGEST
    )
    return _escaped(value[:length]) + end


def unescape(text: str) -> str | None:
    """The value that `escape` wrote. Raises `ValueError` where a long value was shortened."""
    if text == MISSING:
        return None
    if text == EMPTY:
        return ""
    if ":sha-" in text:
        raise ValueError(
            f"{text!r} is the shortened name of a longer value; the run's slices.json holds it"
        )
    return ESCAPED.sub(
        lambda match: "".join(chr(int(number, 16)) for number in match[1].split("-")), text
    )


def slice_name(identity: SliceIdentity) -> str:
    """`slice.<column>.<value>`; of a crossing both columns and both values, with `:x:` between."""
    columns, values = identity
    return f"slice.{CROSSED.join(map(escape, columns))}.{CROSSED.join(map(escape, values))}"


def mlflow_name(*parts: str) -> str:
    """The parts joined by dots, empty ones left out; the class in `class.<class>.<metric>` is
    escaped.
    """
    return ".".join(_metric(part) for part in parts if part)


def slice_metrics(
    metrics: Mapping[str, float], split: str, identities: Iterable[SliceIdentity]
) -> dict[SliceIdentity, dict[str, float]]:
    """Of every slice its metrics by name, from a run's metrics as MLflow has them; empty where it
    has none.
    """
    by_slice: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        of, separator, metric = _split(key, f"{split}.slice.")
        if separator:
            by_slice.setdefault(of, {})[metric] = value
    return {
        identity: by_slice.get(f"{split}.{slice_name(identity)}", {}) for identity in identities
    }


def _split(key: str, prefix: str) -> Sequence[str]:
    """The name of a slice and that of a metric in it, with the dot between them."""
    if not key.startswith(prefix):
        return key, "", ""
    column, _, others = key.removeprefix(prefix).partition(".")
    value, separator, metric = others.partition(".")
    return f"{prefix}{column}.{value}", separator, metric


def _metric(name: str) -> str:
    if not name.startswith(CLASS):
        return name
    value, _, metric = name.removeprefix(CLASS).rpartition(".")
    return f"{CLASS}{escape(value)}.{metric}"


def _escaped(value: str) -> str:
    text, run = "", list[str]()
    for place, sign in enumerate(value):
        if not _stays(value, place):
            run.append(f"{ord(sign):x}")
            continue
        if run:
            text, run = f"{text}:{'-'.join(run)}:", []
        text += sign
    return f"{text}:{'-'.join(run)}:" if run else text


def _stays(value: str, place: int) -> bool:
    sign = value[place]
    if sign == " ":
        return 0 < place < len(value) - 1 and _is_word(value[place - 1 : place + 2 : 2])
    return _is_word(sign)


def _is_word(text: str) -> bool:
    """Signs that MLflow takes, and that no store writes in another form of Unicode."""
    return all(
        sign in "_-" or (sign.isalnum() and unicodedata.normalize("NFKC", sign) == sign)
        for sign in text
    )
