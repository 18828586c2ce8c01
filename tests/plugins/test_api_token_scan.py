"""``apilane token scan``: tokens in files and in the history of Git."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apilane_api_tokens.form import new_token
from apilane_api_tokens.scan import CHUNK, scan_history, scan_paths

APILANE = str(Path(sys.executable).with_name("apilane"))


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True)


def test_files_and_folders(tmp_path: Path) -> None:
    """A token is found with its line, also inside other text and bytes; misspelt ones and parts are not."""
    token = new_token("usr")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "config.env").write_bytes(b"\xff\n\nKEY=" + token.encode() + b"\n")
    (tmp_path / "url.txt").write_text(f"https://example.com/?token={token}&x=1")
    (tmp_path / "other.txt").write_text(f"{token[:-1]} x{token} {token}z {token.replace('usr', 'abc')}")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "packed").write_text(token)
    found = scan_paths([tmp_path])
    assert [each.place for each in found] == [f"{tmp_path}/url.txt:1", f"{tmp_path}/deep/config.env:3"]
    assert {each.shown for each in found} == {f"{token[:12]}..."}


@pytest.mark.parametrize("before", [0, 1, 44, 45, 46, 47, 100, 127, 128, 129])
def test_tokens_across_chunks(tmp_path: Path, before: int) -> None:
    """A token is found once wherever the file is cut into chunks, with the right line."""
    token = new_token("app")
    file = tmp_path / "large"
    file.write_text("\n" * (CHUNK - before) + token + "\n" + " " * CHUNK)
    assert [each.place for each in scan_paths([file])] == [f"{file}:{CHUNK - before + 1}"]


def test_history(tmp_path: Path) -> None:
    """A token that was removed from the files is found in the history, on every branch."""
    token, other = new_token("usr"), new_token("app")
    git(tmp_path, "init", "-q", "-b", "main")
    secret = tmp_path / "secret.txt"
    for text in (f"a {token}\n", "clean\n"):
        secret.write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", "change")
    git(tmp_path, "checkout", "-q", "-b", "side")
    secret.write_text(other)
    git(tmp_path, "commit", "-q", "-a", "-m", "other")
    git(tmp_path, "checkout", "-q", "main")
    assert scan_paths([tmp_path]) == []
    found = scan_history(tmp_path)
    assert {each.shown for each in found} == {f"{token[:12]}...", f"{other[:12]}..."}
    assert all(each.place.endswith(" secret.txt") for each in found)


def test_a_folder_without_history(tmp_path: Path) -> None:
    """A folder outside of repositories has no history."""
    assert list(scan_history(tmp_path)) == []


def test_the_command(tmp_path: Path) -> None:
    """The command ends with status 1 when there are tokens, prints no whole token, and needs no server or settings."""
    token = new_token("usr")
    file = tmp_path / "a.txt"
    run = [APILANE, "token", "scan", str(file)]
    file.write_text("nothing")
    assert subprocess.run(run, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    file.write_text(token)
    ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"{file}:1: {token[:12]}..." in ran.stdout
    assert token not in ran.stdout + ran.stderr
    assert not (tmp_path / "data").exists()
