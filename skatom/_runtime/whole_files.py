"""Writing of files that are on disk as a whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

# Errors of a system that has no room left: of the disk, of a quota, of a file's size.
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)


def write_atomically(path: Path, data: bytes) -> None:
    """Put a complete file under its name, or leave what was there.

    Parameters
    ----------
    path : pathlib.Path
        In a folder that exists. A symbolic link stays, and what it points to is
        replaced; permissions of a file that is replaced are kept.
    data : bytes

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    OSError
        If there is no room; the message says how much is needed and how much is free.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {path.parent} to save {path.name} in: make it first."
        )
    beginning, end = f".{path.name}.", ".tmp"
    remove_leftovers(path.parent, beginning, end)
    temporary = path.with_name(f"{beginning}{unfinished_name()}{end}")
    with room_for(path, len(data)), removed_unless_whole(temporary):
        with new_file(temporary) as stream:
            stream.write(data)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    sync_folder(path.parent)


@contextmanager
def removed_unless_whole(temporary: Path) -> Iterator[None]:
    """Leave nothing behind of a file that could not be written."""
    try:
        yield
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is not there yet, and wait until its content is on disk."""
    with open(path, "xb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def room_for(path: Path, n_bytes: int) -> Iterator[None]:
    """Say what cannot be written, where, and how much room there is.

    Parameters
    ----------
    path : pathlib.Path
        Of what is being written, in a folder that exists.
    n_bytes : int
        That it takes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = (
            f"the disk has {free / 1e6:.1f} MB left"
            if free < n_bytes
            else f"the system says {error.strerror!r}, a quota or limit of yours"
        )
        raise OSError(
            error.errno,
            f"There is no room for {path}, which takes {n_bytes / 1e6:.1f} MB: {why}. "
            "What was there before is unchanged; free some room and run it again",
        ) from error


def unfinished_name() -> str:
    """Name what this process begins, so that others can tell when it has died."""
    return f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"


def remove_leftovers(folder: Path, beginning: str, end: str = "") -> None:
    """Remove what processes of this machine had begun that are not alive any more.

    Parameters
    ----------
    folder : pathlib.Path
    beginning, end : str
        Around the name that `unfinished_name` gave.
    """
    for path in list(folder.iterdir()):
        if not (path.name.startswith(beginning) and path.name.endswith(end)):
            continue
        maker = path.name[len(beginning) : len(path.name) - len(end)].split("-")
        if len(maker) != 3 or maker[0] != _machine() or _is_alive(maker[1]):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):  # in a folder that is not ours to change
                path.unlink()


def _machine() -> str:
    """Name what numbers processes: a host, or a container on it."""
    try:
        numbers = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        numbers = 0
    return f"{socket.gethostname().replace('-', '_')}_{numbers}"


def _is_alive(pid: str) -> bool:
    """Whether a process may be there; only a clear no lets its files be removed."""
    if os.name != "posix" or not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # such as that of another user
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows has no handles of folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
