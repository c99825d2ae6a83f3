"""Folders, globs and archives become lists of files."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from jetformer_data.errors import SourceError
from jetformer_data.sources import expand, open_source
from jetformer_data.testing.source_examples import WRITERS, example


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`jets` holds b.h5, a.npz and sub/c.h5, and what is no jets."""
    (tmp_path / "jets/sub").mkdir(parents=True)
    for name, kind in {"b.h5": "schema", "a.npz": "npz_rows", "sub/c.h5": "hdf5_rows"}.items():
        WRITERS[kind][2](tmp_path / "jets" / name, example())
    (tmp_path / "jets/README.txt").write_text("jets")
    (tmp_path / "jets/.hidden.h5").write_text("of macOS")
    return tmp_path / "jets"


def _archive(folder: Path, path: Path, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, "150p/val")
    return path


def _names(paths: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in paths]


def test_a_folder_is_searched_and_sorted(folder: Path, tmp_path: Path) -> None:
    assert _names(expand(folder, tmp_path / "work"), folder) == ["a.npz", "b.h5", "sub/c.h5"]
    assert not (tmp_path / "work").exists()


def test_globs_and_files_keep_the_order_given_and_come_once(folder: Path, tmp_path: Path) -> None:
    given = [folder / "sub/c.h5", str(folder / "*.h5"), folder / "b.h5", folder / "a.npz"]
    assert _names(expand(given, tmp_path), folder) == ["sub/c.h5", "b.h5", "a.npz"]


@pytest.mark.parametrize("mode", ("w:gz", "w:bz2", "w:xz", "w"))
def test_archives_are_unpacked_and_can_be_read(folder: Path, tmp_path: Path, mode: str) -> None:
    files = expand(_archive(folder, tmp_path / "val.tar", mode), tmp_path / "work")
    root = tmp_path / "work/val.tar.unpacked"
    assert _names(files, root) == ["150p/val/a.npz", "150p/val/b.h5", "150p/val/sub/c.h5"]
    for path in files:
        with open_source(path) as source:
            assert len(source) == 30


def test_an_archive_is_unpacked_once_and_a_lost_member_again(folder: Path, tmp_path: Path) -> None:
    archive = _archive(folder, tmp_path / "val.tar.gz")
    first = expand(archive, tmp_path)
    for path in first:
        os.utime(path, (1, 1))
    first[0].unlink()
    first[1].write_bytes(b"half")  # not of this program: it renames what is complete
    again = expand(archive, tmp_path)
    assert again == first
    assert [path.stat().st_mtime == 1 for path in again] == [False, False, True]
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", ("../evil.h5", "/evil.h5", "a/../../evil.h5"))
def test_members_outside_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(SourceError, match=r"bad\.tar\.gz: member '.*evil\.h5' would be unpacked outside"):
        expand(tmp_path / "bad.tar.gz", tmp_path / "work")


def test_links_in_archives_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "links.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("jets.h5")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(SourceError, match="no member of this archive"):
        expand(tmp_path / "links.tar.gz", tmp_path / "work")


def test_a_truncated_archive_is_refused(folder: Path, tmp_path: Path) -> None:
    archive = _archive(folder, tmp_path / "val.tar.gz")
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"val\.tar\.gz: is damaged or truncated"):
        expand(archive, tmp_path / "work")
    assert not list((tmp_path / "work").rglob("*.partial"))


def test_what_leads_to_no_jets_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"jets"))
    wrong = {
        tmp_path / "nothing": "no file in this folder",
        tmp_path / "absent.h5": "there is no such file",
        tmp_path / "*.root": "no file has such a name",
        tmp_path / "text.gz": "damaged or truncated",
        folder / "README.txt": "is no file of jets",
    }
    for path, words in wrong.items():
        with pytest.raises(SourceError, match=words):
            expand(path, tmp_path / "work")
    with pytest.raises(SourceError, match="no files of jets were named"):
        expand([], tmp_path / "work")
