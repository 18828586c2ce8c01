"""``apilane apply`` and ``apilane export`` on a real data dir."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from apilane.cli.main import cli
from tests.manifests import SHOP

BASE = "Apilane: 1\nApplication: {Name: Shop}\nEntities: [{Name: Items, Properties: [{Name: Title}]}]\n"
EMPTY = "Apilane: 1\nApplication: {Name: Shop}\nEntities: []\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; its data dir ``data`` does not exist yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APILANE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def applied(folder: Path, text: str, *options: str, name: str = "a.yaml") -> Result:
    (folder / name).write_text(text)
    return run("apply", name, *options)


def exported() -> str:
    return run("export", "Shop").stdout


def test_apply_prints_name_and_token_on_stdout_and_the_rest_on_stderr(folder: Path) -> None:
    """Stdout has ``NAME TOKEN`` for scripts; the plan goes to stderr."""
    done = applied(folder, BASE)
    assert done.exit_code == 0
    name, token = done.stdout.split()
    assert (name, len(token)) == ("Shop", 36)
    assert "+ Entities[Items]: Title" in done.stderr
    assert (folder / "data" / "apps" / token / "data.db").exists()
    again = applied(folder, BASE)
    assert again.stdout == done.stdout
    assert "nothing to change" in again.stderr


def test_the_recorded_application_is_applied(folder: Path) -> None:
    """The manifest of the recorded application can be applied, and applying its export changes nothing."""
    assert applied(folder, SHOP.read_text(), name="shop.json").exit_code == 0
    for format in ("yaml", "json"):
        assert run("export", "Shop", "--format", format, "--output", f"out.{format}").exit_code == 0
        assert "nothing to change" in run("apply", f"out.{format}").stderr


@pytest.mark.better("B-P3")
def test_a_dry_run_changes_nothing(folder: Path) -> None:
    """A dry run prints the plan and creates no application."""
    done = applied(folder, BASE, "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "+ Entities[Items]" in done.stderr
    assert run("export", "Shop").exit_code == 1


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content. SQLite's files beside a database exist only while it is open."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.better("B-P3")
@pytest.mark.parametrize("token", ["", ", Token: 23d4444f-b56e-4c5a-98ed-ef251796a238"])
def test_a_dry_run_in_an_empty_folder_creates_no_instance(folder: Path, token: str) -> None:
    """A dry run before the first use creates nothing, prints no password, and shows a token only from the manifest."""
    done = applied(folder, BASE.replace("{Name: Shop}", f"{{Name: Shop{token}}}"), "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "")
    shown = token.rpartition(" ")[2] if token else "apply makes its token"
    assert f"Shop ({shown}): new" in done.stderr
    assert "+ Entities[Items]: Title" in done.stderr
    assert "password" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_mistakes_in_an_empty_folder_create_no_instance(folder: Path, options: tuple[str, ...]) -> None:
    """A manifest with mistakes changes nothing, also where the first ``apply`` would create the instance."""
    done = applied(folder, BASE.replace("Shop", "Shp"), *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "1 error; nothing was changed." in done.stderr
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]


def test_export_in_an_empty_folder_creates_no_instance(folder: Path) -> None:
    """Commands that only read tell that there is no instance, and create none."""
    for command in (("export", "Shop"), ("ip-check", "Shop", "203.0.113.7")):
        done = run(*command)
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"There is no instance in {folder / 'data'} yet" in done.stderr
        assert list(folder.iterdir()) == []


@pytest.mark.better("B-P3")
@pytest.mark.parametrize("change", [BASE, EMPTY, BASE.replace("Shop", "Other"), BASE.replace("Title", "Label")])
def test_a_dry_run_changes_no_file(folder: Path, change: str) -> None:
    """A dry run on an existing instance changes no byte of the data folder, whatever the manifest changes."""
    applied(folder, BASE)
    before = contents_of(folder / "data")
    assert applied(folder, change, "--dry-run", name="b.yaml").exit_code == 0
    assert contents_of(folder / "data") == before


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--yes",)])
def test_a_missing_database_is_named_and_not_created(folder: Path, options: tuple[str, ...]) -> None:
    """``apply`` and its dry run name a missing database file and do not create an empty one."""
    token = applied(folder, BASE).stdout.split()[1]
    path = folder / "data" / "apps" / token / "data.db"
    path.unlink()
    done = applied(folder, EMPTY, *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"The database {path} of application Shop ({token}) is missing" in done.stderr
    assert not path.exists()


def test_without_a_terminal_nothing_changes(folder: Path) -> None:
    """Without a terminal and without --yes a change that loses data ends with exit code 3 and changes nothing."""
    applied(folder, BASE)
    before = exported()
    done = applied(folder, EMPTY)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "LOSES DATA" in done.stderr
    assert exported() == before
    assert applied(folder, EMPTY, "--yes").exit_code == 0
    assert "Items" not in exported()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3)])
def test_at_a_terminal_the_operator_is_asked(folder: Path, answer: str, code: int) -> None:
    """At a terminal the operator's answer decides."""
    applied(folder, BASE)
    (folder / "a.yaml").write_text(EMPTY)
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    command = [sys.executable, "-c", "from apilane.cli.main import main; main()", "apply", "a.yaml"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code
    assert b"Continue?" in done.stdout + done.stderr
    assert ("Items" in exported()) is bool(code)


@pytest.mark.better("B-P3")
def test_all_files_are_checked_before_any_is_applied(folder: Path) -> None:
    """The mistakes of all files are reported together, with exit code 1, and nothing is applied."""
    (folder / "good.yaml").write_text(BASE)
    (folder / "bad.yaml").write_text("Apilane: 1\nApplication: {Name: Bad}\n")
    (folder / "broken.json").write_text('{"Apilane": 1,}')
    done = run("apply", "good.yaml", "bad.yaml", "broken.json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "bad.yaml:2: Application.Name: the application name has 3 characters" in done.stderr
    assert "broken.json:1: not JSON" in done.stderr
    assert "2 errors; nothing was changed." in done.stderr
    assert run("export", "Shop").exit_code == 1


def test_a_file_that_is_not_there(folder: Path) -> None:
    """A missing file gives a message and exit code 1, and creates no instance."""
    done = run("apply", "none.yaml")
    assert done.exit_code == 1
    assert "none.yaml cannot be read" in done.stderr
    assert not (folder / "data").exists()


def test_two_applications_of_one_name_need_the_token(folder: Path) -> None:
    """A name that several applications share is an error that lists their tokens."""
    first = applied(folder, BASE).stdout.split()[1]
    token = "23d4444f-b56e-4c5a-98ed-ef251796a238"
    other = BASE.replace("{Name: Shop}", f"{{Name: Shop, Token: '{token.upper()}'}}")
    assert applied(folder, other).stdout == f"Shop {token}\n"
    done = applied(folder, BASE)
    assert done.exit_code == 1
    assert "a.yaml:2: Application.Name: there are 2 applications named Shop" in done.stderr
    assert first in done.stderr
    assert token in done.stderr
    assert "Give a token" in run("export", "Shop").stderr
    assert run("export", token).exit_code == 0


def test_two_manifests_of_one_application_are_refused(folder: Path) -> None:
    """Two manifests for one application in one call are refused."""
    done = applied(folder, BASE + "---\n" + BASE)
    assert done.exit_code == 1
    assert "described by another manifest too" in done.stderr


def test_an_unknown_application_names_the_nearest(folder: Path) -> None:
    """A misspelt name gets a suggestion."""
    applied(folder, BASE)
    assert "Did you mean Shop?" in run("export", "Shpo").stderr


def test_added_properties_and_renames_keep_records(folder: Path) -> None:
    """Added properties and renames change the tables and keep the records."""
    token = applied(folder, BASE).stdout.split()[1]
    changed = (
        "Apilane: 1\nApplication: {Name: Shop}\nEntities:\n  - Name: Goods\n    RenamedFrom: Items\n"
        "    Properties: [{Name: Label, RenamedFrom: Title}, {Name: Price, Type: Number}]\n"
    )
    path = str(folder / "data" / "apps" / token / "data.db")
    connection = apsw.Connection(path)
    connection.execute('INSERT INTO "Items" ("Created", "Title") VALUES (1, \'kept\')')
    connection.close()
    assert applied(folder, changed).exit_code == 0
    connection = apsw.Connection(path)
    assert list(connection.execute('SELECT "Label", "Price" FROM "Goods"')) == [("kept", None)]
    connection.close()
    assert "nothing to change" in applied(folder, changed).stderr


FILLED = "Apilane: 1\nApplication: {Name: Shop}\nEntities: [{Name: Items, Properties: [{Name: Title}, {Name: Code}]}]\n"


@pytest.fixture
def filled(folder: Path) -> Path:
    """``Shop`` with three items; the path of its database file."""
    token = applied(folder, FILLED).stdout.split()[1]
    path = folder / "data" / "apps" / token / "data.db"
    connection = apsw.Connection(str(path))
    connection.execute('INSERT INTO "Items" ("Created", "Title") VALUES (0, \'a\'), (0, \'bb\'), (0, NULL)')
    connection.close()
    return path


def test_a_dry_run_counts_the_records(folder: Path, filled: Path) -> None:
    """The plan states how many records a change would lose, before it asks for consent."""
    shorter = FILLED.replace("{Name: Title}, {Name: Code}", "{Name: Title, Maximum: 2}")
    done = applied(folder, shorter, "--dry-run")
    assert done.exit_code == 0
    assert "Properties[Title].Maximum: null -> 2\n" in done.stderr
    assert "Properties[Code]: with all its values  (0 records)  LOSES DATA" in done.stderr
    assert (
        "Entities[Items]: with all its records  (3 records)  LOSES DATA" in applied(folder, EMPTY, "--dry-run").stderr
    )


@pytest.mark.parametrize("options", [("--dry-run",), ("--yes",), ()])
def test_records_that_do_not_fit_are_named(folder: Path, filled: Path, options: tuple[str, ...]) -> None:
    """A change that existing records do not fit is refused with their IDs before the question is asked; exit code 1."""
    before = exported()
    done = applied(folder, FILLED.replace("{Name: Title}", "{Name: Title, Maximum: 1, Required: true}"), *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Properties[Title].Maximum: null -> 1  (1 record does not fit)\n" in done.stderr
    assert "Properties[Title].Required: false -> true  (1 record does not fit)\n" in done.stderr
    assert "Shop: Entities[Items].Properties[Title].Maximum: 1 record longer than 1 (ID 2)" in done.stderr
    assert "Shop: Entities[Items].Properties[Title].Required: 1 record without a value (ID 3)" in done.stderr
    assert "nothing was changed" in done.stderr
    assert exported() == before


def test_changed_by_another_apply_meanwhile(folder: Path, filled: Path) -> None:
    """Consent to a plan changes nothing, with a message, when another apply changed the application meanwhile."""
    (folder / "mine.yaml").write_text(EMPTY)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from apilane.cli.main import main; main()", "apply", "mine.yaml"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        assert asking.stderr is not None
        said = b""
        while b"Continue?" not in said:
            said += os.read(asking.stderr.fileno(), 1000)
        assert applied(folder, FILLED.replace("Name: Code", "Name: Note"), "--yes").exit_code == 0
        after = exported()
        os.write(ours, b"y\n")
        said = asking.communicate(timeout=60)[1]
    os.close(ours)
    os.close(theirs)
    assert asking.returncode == 1
    assert b"was changed since the plan was made" in said
    assert exported() == after


@pytest.mark.parametrize("key", ["Name", "StorageProvider", "DifferentiationEntity", "Token"])
def test_a_variable_that_is_not_set(folder: Path, key: str) -> None:
    """A setting from a variable that is not set is named, with exit code 1, for new and existing applications."""
    text = BASE.replace("{Name: Shop}", f"{{Name: Shop, {key}: '${{NOPE}}'}}".replace("Name: Shop, Name", "Name"))
    for _ in range(2):
        done = applied(folder, text)
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"a.yaml:2: Application.{key}: the environment variable NOPE is not set" in done.stderr
        assert applied(folder, BASE, name="b.yaml").exit_code == 0


UNKNOWN_KIND = BASE + "CustomEndpoints: [{Name: Totals, Kind: sqll, Query: x}]\n"


@pytest.mark.parametrize("options", [("--strict",), ("--strict", "--dry-run"), ("--strict", "--yes")])
def test_strict_refuses_warnings(folder: Path, options: tuple[str, ...]) -> None:
    """With --strict a warning is refused with exit code 1, before an instance exists and later; nothing is changed."""
    for _ in range(2):
        done = applied(folder, UNKNOWN_KIND, *options)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "! CustomEndpoints[Totals].Kind: no loaded plugin provides the kind sqll" in done.stderr
        assert "--strict refuses them; nothing was changed" in done.stderr
        assert applied(folder, BASE, "--strict").exit_code == 0


def test_an_unknown_kind_is_applied_with_a_warning(folder: Path) -> None:
    """Without --strict the endpoint is stored, and the plan has the warning."""
    done = applied(folder, UNKNOWN_KIND)
    assert done.exit_code == 0
    assert "and calls answer 404; did you mean sql?" in done.stderr
    assert "sqll" in exported()


LETTERS = "abcdefghijklmnopqrstuvwxyz"
WIDE = ", ".join(f"{{Name: P{first}{second}{third}}}" for first in "abc" for second in LETTERS for third in LETTERS)


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ("{Name: rowid}", "the database keeps the column name rowid for itself"),
        (WIDE, "a table has 2000 columns at most, this one would have 20"),
    ],
)
def test_what_the_database_cannot_hold_stops_all_files(folder: Path, properties: str, told: str) -> None:
    """A reserved name or a table that is too wide in the second file is told before the first file makes anything."""
    (folder / "first.yaml").write_text(BASE)
    (folder / "second.yaml").write_text(
        f"Apilane: 1\nApplication: {{Name: Other}}\nEntities: [{{Name: Items, Properties: [{properties}]}}]\n"
    )
    for options in ((), ("--dry-run",)):
        done = run("apply", "first.yaml", "second.yaml", *options)
        assert (done.exit_code, done.stdout) == (1, "")
        assert told in " ".join(done.stderr.split())
    assert run("export", "Shop").exit_code == 1
