"""Encryption of texts, and the master key file."""

from __future__ import annotations

import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apilane.errors import ConfigurationError
from apilane.security.encryption import Cipher, load_master_key, new_key
from apilane.settings import Settings

KEY = bytes(range(32))


@pytest.mark.better("B-D13")
@pytest.mark.parametrize("text", ["", "a", "Καφές ☕", "x" * 100_000, "\0\n"])
def test_round_trip(text: str) -> None:
    """An encrypted text decrypts to the same text, and no two ciphertexts are equal."""
    cipher = Cipher(KEY)
    assert cipher.decrypt(cipher.encrypt(text)) == text
    assert cipher.encrypt(text) != cipher.encrypt(text)
    assert cipher.encrypt(text).startswith("v1:")


@pytest.mark.better("B-D13")
def test_another_key_or_context_reads_nothing() -> None:
    """A ciphertext can be decrypted only with its own key and its own context."""
    stored = Cipher(KEY).encrypt("secret", "application:a")
    assert Cipher(KEY).decrypt(stored, "application:a") == "secret"
    assert Cipher(KEY).decrypt(stored, "application:b") is None
    assert Cipher(KEY).decrypt(stored) is None
    assert Cipher(new_key()).decrypt(stored, "application:a") is None


@pytest.mark.better("B-D13")
def test_every_changed_character_is_noticed() -> None:
    """A change of any character makes a ciphertext unreadable."""
    cipher = Cipher(KEY)
    stored = cipher.encrypt("secret!!")  # 12 + 8 + 16 bytes fill their base64 exactly: there are no unused bits
    for place in range(len(stored)):
        changed = stored[:place] + ("A" if stored[place] != "A" else "B") + stored[place + 1 :]
        assert cipher.decrypt(changed) is None


@pytest.mark.parametrize(
    "stored", ["", "v1:", "v1:AA", "v1:A", "v1:!!!!", "v2:AAAA", "clear text", "v1:é", "v1:" + "A" * 30]
)
def test_what_is_no_ciphertext(stored: str) -> None:
    """A text that is not a ciphertext is read as None."""
    assert Cipher(KEY).decrypt(stored) is None


def test_key_file_is_made_once_and_kept(tmp_path: Path) -> None:
    """The first call creates the key, readable by its owner only; later calls read the same key."""
    settings = Settings(data_dir=tmp_path)
    key = load_master_key(settings, create=True)
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600
    assert load_master_key(settings, create=True) == load_master_key(settings, create=False) == key
    assert [each.name for each in tmp_path.iterdir()] == ["master.key"]


def test_concurrent_callers_get_one_key(tmp_path: Path) -> None:
    """Concurrent calls that create the key all get the same complete key."""
    settings = Settings(data_dir=tmp_path)
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_master_key(settings, create=True), range(64)))
    assert len(keys) == 1


def test_missing_key_is_never_replaced(tmp_path: Path) -> None:
    """When encrypted data exists, a missing key is an error that asks for the backup, and no file is created."""
    with pytest.raises(ConfigurationError, match=r"master\.key is missing.*Restore"):
        load_master_key(Settings(data_dir=tmp_path), create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660])
def test_loose_permissions_are_refused(tmp_path: Path, mode: int) -> None:
    """A key file that others may read or write is refused with the command that corrects it."""
    settings = Settings(data_dir=tmp_path)
    load_master_key(settings, create=True)
    (tmp_path / "master.key").chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {tmp_path}/master.key"):
        load_master_key(settings, create=False)


@pytest.mark.parametrize(
    "content", [b"", b"open sesame", b64encode(b"x" * 31), b64encode(b"x" * 33), b"\xff" * 44, b"!" * 44]
)
def test_damaged_key_file(tmp_path: Path, content: bytes) -> None:
    """A damaged key file is an error with its path and without its content."""
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"master\.key is not the base64 text of 32 bytes") as caught:
        load_master_key(Settings(data_dir=tmp_path), create=True)
    assert not content or content.decode("latin-1") not in str(caught.value)
    assert path.read_bytes() == content


def test_key_from_the_environment(tmp_path: Path) -> None:
    """A key from the settings is used and no file is written; an invalid one is refused without showing it."""
    settings = Settings(data_dir=tmp_path, master_key=b64encode(KEY).decode())
    assert load_master_key(settings, create=True) == KEY
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="APILANE_MASTER_KEY") as caught:
        load_master_key(Settings(data_dir=tmp_path, master_key="open sesame"), create=True)
    assert "sesame" not in str(caught.value)
