"""The file of a backup: whole or refused, and its owner's alone."""

import io
import stat
import tarfile

import pytest

from cli.backup.archive import CONTENTS, unpack, writing_archive
from include.errors import BackupError


@pytest.fixture
def archive(tmp_path):
    """A backup of a plain file, an empty one and one with a name of another alphabet."""
    source = tmp_path / "home"
    source.mkdir()
    (source / "a").write_bytes(b"x" * 3_000_000)
    (source / "ключ").write_bytes(b"secret")
    (source / "ключ").chmod(0o600)
    (source / "empty").touch()
    path = tmp_path / "home.tar"
    with writing_archive(path, {"made_at": "now"}) as writer:
        for file in source.iterdir():
            writer.add_file(f"folder/{file.name}", file)
    return path


def test_what_was_saved_comes_back_with_its_permissions(archive, tmp_path):
    about = unpack(archive, tmp_path / "there")
    assert about["made_at"] == "now"
    assert sorted(about["members"]) == ["folder/a", "folder/empty", "folder/ключ"]
    key = tmp_path / "there" / "folder" / "ключ"
    assert key.read_bytes() == b"secret"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (tmp_path / "there" / CONTENTS).exists()
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_a_backup_replaces_no_file(archive):
    before = archive.read_bytes()
    with (
        pytest.raises(BackupError, match=r"home\.tar is there already.*another name"),
        writing_archive(archive, {}),
    ):
        pass
    assert archive.read_bytes() == before


def test_nothing_has_the_name_of_a_backup_that_was_not_finished(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        writing_archive(tmp_path / "b.tar", {}) as writer,
    ):
        writer.add_file("a", tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [1_000_000, 3_000_900])
def test_a_changed_byte_is_found_and_its_file_named(archive, tmp_path, place):
    with archive.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(BackupError, match=r"home\.tar (is damaged: folder/|is no whole backup)"):
        unpack(archive, tmp_path / "there")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_backup_that_was_cut_off_is_refused(archive, tmp_path, share):
    with archive.open("r+b") as file:
        file.truncate(int(archive.stat().st_size * share))
    with pytest.raises(BackupError, match=r"(no whole backup|holds no backup\.json).*another copy"):
        unpack(archive, tmp_path / "there")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_nothing_is_written_outside_of_the_folder(tmp_path, name):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(BackupError, match="no file of a home"):
        unpack(path, tmp_path / "there")
    assert not (tmp_path / "outside").exists()


def test_a_link_is_no_file_of_a_home(tmp_path):
    path, link = tmp_path / "bad.tar", tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(path, "w") as archive:
        archive.addfile(link)
    with pytest.raises(BackupError, match="'link', which is no file"):
        unpack(path, tmp_path / "there")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(BackupError, match="There is no file"):
        unpack(tmp_path / "none.tar", tmp_path / "there")
