"""A client of HTTP shares what this machine trusts with every other one of its process."""

from __future__ import annotations

import ast

import pytest

from include.settings import PROJECT_ROOT
from include.tls import trusted

MAKERS = {"Client", "delete", "get", "post", "put", "request", "stream"}


def alone(text: str) -> list[int]:
    """The lines of a source on which a client is made that reads it anew."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "httpx"
        and node.func.attr in MAKERS
        and not {"verify", "transport"} & {argument.arg for argument in node.keywords}
    ]


@pytest.mark.parametrize("package", ["cli", "include", "plugins", "serving"])
def test_no_client_reads_what_is_trusted_anew(package):
    """A wait that asks twice a second would take a twentieth of a processor for it."""
    found = {
        str(path.relative_to(PROJECT_ROOT)): lines
        for path in (PROJECT_ROOT / package).rglob("*.py")
        if (lines := alone(path.read_text()))
    }
    assert found == {}


def test_the_finder_sees_a_client_that_does():
    assert alone("httpx.get('http://a')\nhttpx.Client(\n  verify=trusted())\n") == [1]
    assert trusted() is trusted()
