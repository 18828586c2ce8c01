"""Opening an instance: what the first use creates, what later ones check, and concurrent first uses."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from apilane.errors import ConfigurationError
from apilane.security.encryption import new_key

OPEN = """
import asyncio, sys
from pathlib import Path
from apilane.control.store import ControlStore
from apilane.dispatch import freeze
from apilane.plugins import load_plugins
from apilane.settings import Settings

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), plugins=(), argon2_memory_kib=64)
    drivers = freeze(load_plugins(settings), settings).drivers
    sys.stdin.readline()  # start together
    store = await ControlStore.open(settings, drivers)
    print(store.first_admin or "none")
    await store.close()
    for driver in drivers.values():
        await driver.close()

asyncio.run(main())
"""


@pytest.mark.better("B-P1")
def test_first_use_makes_everything(open_instance, tmp_path: Path) -> None:
    """The first use creates folder, key, store and an admin without a password; only their owner can read them."""
    data_dir = tmp_path / "deep" / "data"

    async def scenario() -> None:
        async with open_instance(data_dir) as instance:
            email = instance.store.first_admin
            user = await instance.store.portal_user(email.upper())
            assert user is not None
            assert user.is_admin
            assert not user.password_hash
        async with open_instance(data_dir) as instance:
            assert instance.store.first_admin is None
            assert await instance.store.portal_user("nobody@example.com") is None
            await instance.store.ping()

    asyncio.run(scenario())
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert (data_dir / "control.db").exists()
    assert (data_dir / "master.key").exists()


@pytest.mark.better("B-P1")
def test_admin_from_settings(open_instance, tmp_path: Path) -> None:
    """E-mail and password from the settings are used for the admin, and that password is not printed."""

    async def scenario() -> None:
        given = {"admin_email": "Boss@Example.com", "admin_password": "a long enough one"}
        async with open_instance(tmp_path, **given) as instance:
            assert instance.store.first_admin is None
            user = await instance.store.portal_user("boss@example.com")
            assert user is not None
            assert user.email == "Boss@Example.com"

    asyncio.run(scenario())


@pytest.mark.better("B-P1")
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"admin_password": "elevenchars"}, "APILANE_ADMIN_PASSWORD"),
        ({"admin_email": "no address"}, "APILANE_ADMIN_EMAIL"),
        ({"admin_email": "x" * 100 + "@example.com"}, "APILANE_ADMIN_EMAIL"),
    ],
)
def test_unfit_admin(open_instance, tmp_path: Path, given: dict[str, str], named: str) -> None:
    """A weak password or an invalid address stops the first use without an admin; corrected settings work."""

    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match=named) as caught:
            async with open_instance(tmp_path, **given):
                pass
        assert "elevenchars" not in str(caught.value)
        async with open_instance(tmp_path) as instance:
            assert instance.store.first_admin is not None

    asyncio.run(scenario())


def test_wrong_key(open_instance, tmp_path: Path) -> None:
    """A different master key is refused with advice on what to restore, and the right key still works afterwards."""

    async def scenario() -> None:
        async with open_instance(tmp_path):
            pass
        with pytest.raises(ConfigurationError, match=r"does not belong to this control store\. Restore"):
            async with open_instance(tmp_path, master_key=b64encode(new_key()).decode()):
                pass
        async with open_instance(tmp_path) as instance:
            assert instance.store.first_admin is None

    asyncio.run(scenario())


def test_lost_key(open_instance, tmp_path: Path) -> None:
    """A control store without its key is refused, and no new key is created."""

    async def scenario() -> None:
        async with open_instance(tmp_path):
            pass
        (tmp_path / "master.key").unlink()
        with pytest.raises(ConfigurationError, match=r"master\.key is missing"):
            async with open_instance(tmp_path):
                pass

    asyncio.run(scenario())
    assert not (tmp_path / "master.key").exists()


def remove_store(data_dir: Path) -> None:
    for path in data_dir.glob("control.db*"):
        path.unlink()


def test_killed_between_key_and_tables(open_instance, tmp_path: Path) -> None:
    """A first use that ended after it created the key continues with that key."""

    async def scenario() -> None:
        async with open_instance(tmp_path):
            pass
        key = (tmp_path / "master.key").read_bytes()
        remove_store(tmp_path)
        async with open_instance(tmp_path) as instance:
            assert instance.store.first_admin is not None
        assert (tmp_path / "master.key").read_bytes() == key

    asyncio.run(scenario())


def test_unusable_folder(open_instance, tmp_path: Path) -> None:
    """A data folder that cannot be created, or is a file, is an error that names it and the flag."""
    (tmp_path / "file").write_text("")

    async def scenario(path: Path) -> None:
        with pytest.raises(ConfigurationError, match=rf"{path}.*--data-dir"):
            async with open_instance(path):
                pass

    asyncio.run(scenario(tmp_path / "file"))
    asyncio.run(scenario(tmp_path / "file" / "below"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(open_instance, tmp_path: Path) -> None:
    """A data folder without write permission is an error that names the reason."""
    tmp_path.chmod(0o500)

    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match="cannot be written"):
            async with open_instance(tmp_path):
                pass

    asyncio.run(scenario())
    tmp_path.chmod(0o700)


def test_damaged_store(open_instance, tmp_path: Path) -> None:
    """A control.db that is not a database is an error and stays unchanged."""
    (tmp_path / "control.db").write_bytes(b"this is no database, whatever its name says" * 100)
    before = (tmp_path / "control.db").read_bytes()

    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match="control store"):
            async with open_instance(tmp_path):
                pass

    asyncio.run(scenario())
    assert (tmp_path / "control.db").read_bytes() == before
    assert not (tmp_path / "master.key").exists()


def test_several_processes_at_once(open_instance, tmp_path: Path) -> None:
    """Processes that initialise one folder at the same time create one key, one schema and exactly one admin."""
    data_dir = tmp_path / "data"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sorted(answer == "none" for answer in answers) == [False, True, True, True]

    async def scenario() -> None:
        async with open_instance(data_dir) as instance:
            user = await instance.store.portal_user("admin@localhost")
            assert user is not None
            assert user.id == 1
            assert len(await instance.store.portal_users.all()) == 1

    asyncio.run(scenario())
