"""Settings: their sources, precedence, refusals, and hidden secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.errors import ConfigurationError
from apilane.settings import Settings, describe_settings, load_settings

Write = Callable[[str], Path]


@pytest.fixture
def write_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the settings file of the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        (tmp_path / "apilane.toml").write_text(text, encoding="utf-8")
        return tmp_path / "apilane.toml"

    return write


def test_defaults_need_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without file, environment and flags every setting has its default."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}) == Settings()


def test_a_flag_wins_over_environment_over_file_over_default(write_toml: Write) -> None:
    """Each source overrides the sources after it, only for the settings that it has."""
    write_toml("port = 1\nworkers = 2\nbacklog = 300\n")
    settings = load_settings({"port": "3", "host": None}, environ={"APILANE_PORT": "2", "APILANE_WORKERS": "4"})
    assert (settings.port, settings.workers, settings.backlog, settings.host) == (3, 4, 300, "127.0.0.1")


def test_the_environment_is_read_by_type() -> None:
    """Numbers, switches, paths and lists are read from text; an empty list is a list, an empty optional None."""
    settings = load_settings(
        environ={
            "APILANE_PORT": "0",
            "APILANE_DEFINITION_POLL_S": "1.5",
            "APILANE_ACCESS_LOG": "true",
            "APILANE_DATA_DIR": "here",
            "APILANE_PLUGINS": "",
            "APILANE_PLUGINS_ORDER": "a, b",
            "APILANE_CONTROL_URL": "",
            "APILANE_TEST_MYSQL_URL": "not ours",
        }
    )
    assert (settings.port, settings.definition_poll_s, settings.access_log) == (0, 1.5, True)
    assert (settings.data_dir, settings.plugins, settings.plugins_order) == (Path("here"), (), ("a", "b"))
    assert settings.control_url is None


def test_secrets_come_by_reference(write_toml: Write) -> None:
    """A secret in the file is a reference to a variable or to another file."""
    file = write_toml('admin_password = {env = "PASSWORD"}\nmaster_key = {file = "key"}\n')
    (file.parent / "key").write_text("k3y\n")
    settings = load_settings(file=file, environ={"PASSWORD": "s3cret"})
    assert (settings.admin_password, settings.master_key) == ("s3cret", "k3y")
    assert "s3cret" not in f"{settings!r} {settings}"
    assert "k3y" not in f"{settings!r} {settings}"
    assert "admin_password=<secret>" in repr(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", r"unknown setting 'prot' \(did you mean 'port'\?\)"),
        ('port = "5001"', r"port: '5001' is not accepted"),
        ("port = 70000", r"port: 70000 is not accepted; expected whole number"),
        ("workers = 0", r"workers: 0 is not accepted"),
        ('role = "both"', r'role: \'both\' is not accepted; expected "all" \| "api" \| "portal"'),
        ('admin_password = "x1y2"', r"admin_password is a secret and must not be in this file"),
        ('admin_password = {env = "NOT_SET"}', r"the environment variable NOT_SET is not set"),
        ('master_key = {file = "none"}', r"master_key: cannot read the file .*none"),
        ('host = {env = "A", file = "B"}', r"host: expected a value, \{env"),
        ("port =", r"not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(write_toml: Write, text: str, message: str) -> None:
    """The error names the file, the setting and the expected value."""
    file = write_toml(text)
    with pytest.raises(ConfigurationError, match=message) as refusal:
        load_settings(file=file, environ={})
    assert str(file) in str(refusal.value)
    assert "x1y2" not in str(refusal.value)


def test_a_wrong_secret_is_not_shown() -> None:
    """An error about a secret does not show its value."""
    with pytest.raises(ConfigurationError) as refusal:
        load_settings({"master_key": 12345678}, environ={})
    assert "12345678" not in str(refusal.value)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """Without a configured name a missing file is accepted; with one it is an error."""
    with pytest.raises(ConfigurationError, match=r"Cannot read the settings file .*none\.toml"):
        load_settings(file=tmp_path / "none.toml")


def test_every_setting_is_described() -> None:
    """Each field has a row with name, variable, type, default and a sentence."""
    rows = describe_settings()
    assert [*(row.name for row in rows), "plugin_settings"] == list(Settings.__struct_fields__)
    assert all(row.help.endswith(".") and row.type and row.environment == f"APILANE_{row.name.upper()}" for row in rows)
