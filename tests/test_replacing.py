"""A file is there as a whole or not at all, on disk before it has its name, and leaves nothing beside it."""

from __future__ import annotations

import os

import pytest

from airflow_provider_sms.replacing import replace_file


def test_the_bytes_are_on_disk_before_the_file_has_its_name(tmp_path, monkeypatch):
    """Else a machine that loses power may come back with the name and no bytes."""
    target = tmp_path / "page.html"
    target.write_text("old")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(target.read_text()))
    assert replace_file(target, lambda file: file.write(b"new")) == 3
    assert seen == ["old"]
    assert target.read_text() == "new"


def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "page.html"
    target.write_text("old")

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(target, fail)
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


def test_what_a_killed_process_left_goes_a_day_later(tmp_path):
    """But not what somebody may be writing, nor other people's files."""
    names = (".page.html.0123.part", ".page.html.4567.part", ".page.html.swp", ".other.html.89ab.part")
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / names[1]).touch()
    replace_file(tmp_path / "page.html", lambda file: file.write(b"new"))
    assert {each.name for each in tmp_path.iterdir()} == {"page.html", *names[1:]}
