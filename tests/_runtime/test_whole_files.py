"""Files that are written as a whole: links and permissions of those before them."""

import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from skatom._runtime.whole_files import (
    _is_alive,
    remove_leftovers,
    room_for,
    unfinished_name,
    write_atomically,
)


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"new")
    modes = {(tmp_path / name).stat().st_mode for name in ("plain", "ours")}
    assert len(modes) == 1
    assert (tmp_path / "ours").read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
def test_a_link_and_permissions_outlive_what_they_lead_to(tmp_path):
    (tmp_path / "shared").mkdir()
    file, link = tmp_path / "shared" / "model", tmp_path / "latest"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["latest", "model", "shared"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no folder .*nowhere to save model in"
    ):
        write_atomically(tmp_path / "nowhere" / "model", b"")


# -- room ------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
from pathlib import Path
from skatom._runtime.whole_files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_atomically(Path(sys.argv[1]), bytes(3_000_000))
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_no_room_is_said_with_what_and_where(tmp_path):
    """A limit of the system on file sizes, which fails a write as a full disk does."""
    file = tmp_path / "model.skatom"
    file.write_bytes(b"old")
    told = subprocess.run(
        [sys.executable, "-c", FULL, str(file)], capture_output=True, text=True
    ).stdout
    assert f"no room for {file}, which takes 3.0 MB: the system says 'File too" in told
    assert "What was there before is unchanged; free some room" in told
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.skatom"]


def test_a_full_disk_is_said_with_the_room_that_is_left(tmp_path, monkeypatch):
    """The device of Linux that is always full, and the room that a system then tells."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    left = shutil.disk_usage(tmp_path)._replace(free=1_200_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: left)
    with (
        pytest.raises(OSError, match=r"takes 5\.0 MB: the disk has 1\.2 MB left"),
        room_for(tmp_path / "model", 5_000_000),
        open("/dev/full", "wb") as full,
    ):
        full.write(bytes(5_000_000))
    denied = PermissionError(errno.EACCES, "no")  # is told as it is
    with pytest.raises(PermissionError), room_for(tmp_path / "model", 1):
        raise denied


# -- what killed processes leave ---------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="processes of POSIX")
def test_the_next_save_removes_what_a_kill_has_left(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()  # a number of a process that is not there any more
    machine = unfinished_name().split("-")[0]
    names = {
        "dead": f".model.{machine}-{killed.pid}-1234.tmp",
        "alive": f".model.{machine}-{os.getppid()}-1234.tmp",
        "elsewhere": f".model.another_host-{killed.pid}-1234.tmp",
        "no number": f".model.{machine}-x-1234.tmp",
        "of another file": f".other.{machine}-{killed.pid}-1234.tmp",
        "no temporary": ".model.notes.tmp",
    }
    for name in names.values():
        (tmp_path / name).write_bytes(b"half")
    write_atomically(tmp_path / "model", b"whole")
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {*names.values(), "model"} - {names["dead"]}
    (tmp_path / f".part-{machine}-{killed.pid}-1").mkdir()
    (tmp_path / f".part-{machine}-{killed.pid}-1" / "file").write_bytes(b"half")
    remove_leftovers(tmp_path, ".part-")
    assert not list(tmp_path.glob(".part-*"))


@pytest.mark.parametrize(
    ("error", "alive"),
    [(ProcessLookupError, False), (PermissionError, True), (OverflowError, True)],
)
def test_only_a_clear_no_says_that_a_process_is_dead(monkeypatch, error, alive):
    def kill(pid, signal):
        raise error

    monkeypatch.setattr(os, "kill", kill)
    assert _is_alive("1234") is alive
