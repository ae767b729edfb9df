"""What is wrong with a declaration, as lines that people read: file and line, field, value, what is
valid and what was probably meant.
"""

from __future__ import annotations

import ast
import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import ValidationError

ROOT = Path(__file__).resolve().parents[2]
OWN_FOLDER = str(Path(__file__).parent)
FIELD = re.compile(r"^([a-z_][a-z_0-9]*(?:\.[a-z_0-9]+)*)")
QUOTED = re.compile(r"'([^']+)'")
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80


def readable(error: ValidationError, frame: FrameType | None = None) -> str:
    """One line per mistake: `<file>:<line>: <part>.<field> is <value>: <what is valid>`.

    `frame` is where the part was made; without it there is no file to name.
    """
    return "\n".join(line for line in _lines(error, None if frame is None else _Source(frame)))


def suggestion(value: object, valid: Iterable[object]) -> str:
    """The end of an error's sentence: what was probably meant, and what is valid."""
    choices = sorted(map(str, valid))
    near = difflib.get_close_matches(str(value), choices, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{meant} valid: {choices}"


def calling_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is not of the specification's own code."""
    while frame is not None and frame.f_code.co_filename.startswith(OWN_FOLDER):
        frame = frame.f_back
    return frame


def _lines(error: ValidationError, source: _Source | None) -> Iterator[str]:
    for mistake in error.errors(include_url=False):
        place = [str(part) for part in mistake["loc"]]
        text = _text(error.title, place, mistake)
        if source is None:
            yield text
            continue
        named = FIELD.match(text.removeprefix(f"{error.title}: "))
        path = place or ([] if named is None else named[1].split("."))
        yield f"{source.file}:{source.line(error.title, path, QUOTED.findall(text))}: {text}"


def _text(title: str, place: Sequence[str], mistake: Mapping[str, Any]) -> str:
    where, value = ".".join([title, *place]), mistake["input"]
    cause = mistake.get("ctx", {}).get("error")
    if mistake["type"] == "value_error":
        return str(cause) if str(cause).startswith(title) else f"{where}: {cause}"
    if mistake["type"] == "missing":
        return f"{where} is missing and has no default"
    short = SHORT.repr(value)
    context = mistake.get("ctx", {})
    choices = QUOTED.findall(str(context.get("expected", context.get("expected_tags", ""))))
    if mistake["type"] == "union_tag_invalid":
        tag = context["discriminator"].strip("'")
        return f"{where}.{tag} is {context['tag']!r}{suggestion(context['tag'], choices)}"
    if choices and isinstance(value, str):
        return f"{where} is {short}{suggestion(value, choices)}"
    message = str(mistake["msg"])
    return f"{where} is {short}: {message[:1].lower()}{message[1:]}"


class _Source:
    """The file and the call in which a part was made."""

    def __init__(self, frame: FrameType) -> None:
        self.path = Path(frame.f_code.co_filename)
        self.first = frame.f_lineno

    @property
    def file(self) -> str:
        """Its name, below the project where it lies there."""
        return str(self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path)

    def line(self, part: str, path: Sequence[str], quoted: Sequence[str]) -> int:
        """The line of the field, of what the message names, or else of the call."""
        try:
            tree = ast.parse(self.path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            return self.first
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        made = [call for call in calls if call.lineno == self.first and _called(call) == part]
        if not made:
            return self.first
        reached, depth = _descend(tree, made[0], path)
        if depth == len(path) > 0:
            return reached.lineno
        # The last that the message names is what came too much.
        for name in reversed(quoted):
            named = [call.lineno for call in calls if _name(call) == name]
            if len(named) == 1:
                return named[0]
        return reached.lineno


def _descend(tree: ast.Module, node: ast.expr, path: Sequence[str]) -> tuple[ast.expr, int]:
    """The expression that the path leads to, as far as it stands in the file, and how far."""
    for depth, name in enumerate(path):
        below = _below(_resolved(tree, node), name)
        if below is None:
            return node, depth
        node = below
    return node, len(path)


def _below(node: ast.expr, name: str) -> ast.expr | None:
    if isinstance(node, ast.Call):
        return next((word.value for word in node.keywords if word.arg == name), None)
    if isinstance(node, ast.Tuple | ast.List) and name.isdigit():
        return node.elts[int(name)] if int(name) < len(node.elts) else None
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return next(
            (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == name),
            None,
        )
    return None


def _resolved(tree: ast.Module, node: ast.expr) -> ast.expr:
    """What a name of the module stands for."""
    if not isinstance(node, ast.Name):
        return node
    values = [
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == node.id for name in statement.targets)
    ]
    return values[-1] if values else node


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _name(call: ast.Call) -> str | None:
    """What a call's keyword `name` says."""
    value = _below(call, "name")
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
