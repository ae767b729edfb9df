from __future__ import annotations

import os
import socket
import subprocess
import sys

import psutil

from tests.processes import listening, runs


def test_a_process_that_ends_between_two_looks_is_passed_over():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as short:
        process = psutil.Process(short.pid)
        assert runs(short.pid)
        short.kill()
        os.waitid(os.P_PID, short.pid, os.WEXITED | os.WNOWAIT)
        assert not runs(short.pid)  # dead, and nobody has collected it
        short.wait()
        assert not runs(short.pid)
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert server.getsockname() in set(listening([process, psutil.Process()]))
