"""Files that are written as a whole: links and permissions of those before them."""

import os
import stat

import pytest

from skatom._runtime.whole_files import write_atomically


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
