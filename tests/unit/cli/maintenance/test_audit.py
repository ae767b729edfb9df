"""The audit bites, and fails where it could not look."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cli.application import run
from cli.maintenance.audit import look_up
from include.errors import PlatformError

pytestmark = pytest.mark.slow
HASH = "--hash=sha256:" + "0" * 64
BAD = {
    "id": "PYSEC-2019-133",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "urllib3", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.24.2"}]}],
        }
    ],
}


@contextmanager
def database(answer):
    """A database of vulnerabilities that speaks OSV; `answer` gives status and JSON for a
    question.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # the name is the library's
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = answer(asked["package"]["name"], asked["version"])
            self.send_response(status)
            self.end_headers()
            written = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.wfile.write(written)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def lock(tmp_path):
    """A known-bad pin beside one that is not."""
    path = tmp_path / "requirements.txt"
    path.write_text(
        f"urllib3==1.24.1 \\\n    {HASH}\nidna==3.10 \\\n    {HASH}\n"
        f"pywin32==1 ; sys_platform == 'win32' \\\n    {HASH}\n"
    )
    return path


def knows(name, version):
    return 200, {"vulns": [BAD]} if (name, version) == ("urllib3", "1.24.1") else {}


def test_a_known_bad_pin_is_found(lock, tools_home, capsys, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tools_home.home))
    monkeypatch.setenv("COLUMNS", "80")
    with database(knows) as url:
        assert run(["audit", "--lock", str(lock), "--osv-url", url]) == 3
    words = capsys.readouterr().out.split()
    assert {"urllib3", "1.24.1", "PYSEC-2019-133", "1.24.2"} <= set(words)
    assert "idna" not in words


def test_a_lock_that_nothing_speaks_of_passes_with_its_count(lock, tools_home, capsys, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tools_home.home))
    with database(lambda *_: (200, {})) as url:
        assert run(["audit", "--lock", str(lock), "--osv-url", url]) == 0
    assert "2 packages were looked up, and no advisory" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: (503, {}),
        lambda *_: (200, b"<html>sign in</html>"),
        lambda name, _: (200, {}) if name == "idna" else (500, {}),
    ],
    ids=["away", "a page instead", "one package"],
)
def test_a_database_that_cannot_be_asked_is_no_clean_bill(lock, tools_home, answer):
    with database(answer) as url, pytest.raises(PlatformError, match="could not be looked up"):
        look_up(tools_home, lock, url)


def test_no_network_is_no_clean_bill(lock, tools_home):
    with pytest.raises(PlatformError, match=r"2 of 2 packages .* could not be looked up"):
        look_up(tools_home, lock, "http://127.0.0.1:1/v1/query")


def test_a_lock_of_nothing_is_no_clean_bill(tmp_path, tools_home):
    path = tmp_path / "requirements.txt"
    path.write_text("# nothing\n")
    with pytest.raises(PlatformError, match="locks no package"):
        look_up(tools_home, path, None)
