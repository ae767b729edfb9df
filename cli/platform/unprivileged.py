"""Runs a command as an ordinary user, for a program that refuses to run as root:
`python -m cli.platform.unprivileged COMMAND...`.

Inside a user namespace of its own root is one of the machine's other users, and outside of it still
root: files, signals and the list of processes are as if root ran the command. So data stay in a
home that nobody else can enter, and no other account gets anything. Only the standard library is
imported: the process becomes the command.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

NEW_USER_NAMESPACE = 0x10000000


def as_ordinary_user() -> tuple[str, ...]:
    """What goes before a command that refuses to run as root; nothing where we are not root."""
    return (sys.executable, "-m", "cli.platform.unprivileged") if os.geteuid() == 0 else ()


def _become_another_user() -> None:
    """Enter a user namespace in which this root is another user of the machine.

    Raises `OSError` where the kernel or the container does not allow it.
    """
    account = min(
        (account for account in pwd.getpwall() if account.pw_uid > 0),
        key=lambda account: account.pw_uid,
    )
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_USER_NAMESPACE) != 0:
        raise OSError(ctypes.get_errno(), "root may make no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{account.pw_uid} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{account.pw_gid} {group} 1")


def main(command: list[str]) -> None:
    """Become another user where we are root, and then the command."""
    if os.geteuid() == 0:
        try:
            _become_another_user()
        except (OSError, AttributeError, ValueError) as error:
            sys.exit(f"it refuses to run as root, and {error}")
    os.execvp(command[0], command)  # noqa: S606  # the command line is the platform's own


if __name__ == "__main__":
    main(sys.argv[1:])
