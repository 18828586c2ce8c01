"""Helper tables of plugins in the databases of applications, old and new (``apilane_register_tables``)."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase

import pytest

from apilane.cli.doctor import doctor
from apilane.dispatch import freeze
from apilane.model.definition import ApplicationDefinition
from apilane.model.system import system_entities
from apilane.plugin import ForeignKey, HelperTable, Index, Property, PropertyType, Unique, column
from apilane.plugins import PluginError, load_plugins
from apilane.security.tokens import new_token
from apilane.services.capabilities import capabilities_of
from apilane.settings import Settings
from apilane.storage.errors import Unavailable
from tests.changes.workshop import Workshop, entity, manifest
from tests.plugins.bringing import Bringing

SHOP = manifest(entity("Items", {"Name": "Title"}))


def counts(version: int = 1, **changes: object) -> HelperTable:
    """A table with a text, a number and an index."""
    columns = (column("Name", maximum=100), column("Calls", PropertyType.Number))
    given = {"columns": columns, "indexes": (Index(("Calls",)),), **changes}
    return HelperTable(name="H_Counts", version=version, **given)  # type: ignore[arg-type]


WIDE = counts(columns=tuple(column(f"W{one}{two}") for one in ascii_lowercase for two in "abcdefghijkl"), indexes=())
VERSION_2 = counts(2, columns=(*counts().columns, column("Note")), indexes=())


Opened = Callable[..., Workshop]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Open the single instance of the test with a plugin that has these tables, and close the one before."""
    with asyncio.Runner() as runner:
        workshops: list[Workshop] = []

        def make(*tables: HelperTable) -> Workshop:
            for each in workshops:
                each.close()
            workshops[:] = [Workshop(tmp_path / "data", runner, [Bringing(*tables)] if tables else [], loaded=())]
            return workshops[0]

        yield make
        for each in workshops:
            each.close()


def columns_of(shop: Workshop, table: str) -> list[str]:
    return [row[1] for row in shop.sql(f'PRAGMA table_info("{table}")')]


def versions(shop: Workshop) -> list[tuple[object, ...]]:
    """The recorded tables of plugins."""
    return shop.sql('SELECT "Name", "Plugin", "Version" FROM "H_Tables" WHERE "Plugin" <> \'core\' ORDER BY "Name"')


def names(shop: Workshop) -> set[str]:
    return {str(name) for _, name, _ in shop.tables()}


def test_without_plugins_nothing_is_made(opened: Opened) -> None:
    """An instance whose plugins have no tables keeps a record of the core's tables only."""
    shop = opened()
    shop.apply(SHOP)
    shop.open()
    assert versions(shop) == []


def test_a_new_application_has_the_tables(opened: Opened) -> None:
    """The transaction that creates the first tables of an application creates those of plugins too."""
    shop = opened(counts())
    shop.apply(SHOP)
    assert columns_of(shop, "H_Counts") == ["ID", "Name", "Calls"]
    assert versions(shop) == [("H_Counts", "bringing", 1)]
    assert shop.open().table("H_Counts").c.keys() == ["ID", "Name", "Calls"]


def test_an_existing_application_gets_them_when_it_opens(opened: Opened) -> None:
    """A plugin that is loaded later gets its tables in existing applications."""
    opened().apply(SHOP)
    shop = opened(counts())
    assert "H_Counts" not in names(shop)
    shop.open()
    assert columns_of(shop, "H_Counts") == ["ID", "Name", "Calls"]
    assert "INDEX_H_Counts_Calls" in names(shop)


def test_a_new_version_keeps_the_rows(opened: Opened) -> None:
    """Version 2 adds a column, removes an index and keeps every row."""
    shop = opened(counts())
    shop.apply(SHOP)
    shop.sql('INSERT INTO "H_Counts" ("Name", "Calls") VALUES (?, ?)', ("a", 3), ("b", 4))
    shop = opened(VERSION_2)
    shop.open()
    assert shop.sql('SELECT "ID", "Name", "Calls", "Note" FROM "H_Counts"') == [(1, "a", 3, ""), (2, "b", 4, "")]
    assert "INDEX_H_Counts_Calls" not in names(shop)
    assert versions(shop) == [("H_Counts", "bringing", 2)]


def test_apply_brings_tables_up_to_date(opened: Opened) -> None:
    """A change of an application also brings its helper tables up to the versions of the loaded plugins."""
    opened(counts()).apply(SHOP)
    shop = opened(VERSION_2)
    shop.apply(manifest(entity("Items", {"Name": "Title"}, {"Name": "Color"})))
    assert versions(shop) == [("H_Counts", "bringing", 2)]


def test_an_older_plugin_closes_the_application(opened: Opened) -> None:
    """A table of a newer version closes its application with plugin, table and versions; the table is unchanged."""
    opened(VERSION_2).apply(SHOP)
    shop = opened(counts())
    told = r"table H_Counts \(plugin 'bringing'\) has version 2 in the database; .* supports versions up to 1"
    for _ in range(2):
        with pytest.raises(Unavailable, match=told):
            shop.open()
    assert columns_of(shop, "H_Counts") == ["ID", "Name", "Calls", "Note"]


def test_a_change_without_a_new_version_closes_the_application(opened: Opened) -> None:
    """Other columns with the same version are refused, because two processes would change the table in turn."""
    opened(counts()).apply(SHOP)
    with pytest.raises(Unavailable, match=r"both have version 1\. A change needs a higher version"):
        opened(counts(1, indexes=())).open()


def test_a_failure_leaves_the_table_as_it_was(opened: Opened) -> None:
    """A version that the rows do not fit closes the application, and its transaction is rolled back."""
    shop = opened(counts())
    shop.apply(SHOP)
    shop.sql('INSERT INTO "H_Counts" ("Name", "Calls") VALUES (?, 1)', ("same",), ("same",))
    unique = counts(2, constraints=(Unique(properties=("Name",)),))
    shop = opened(unique, HelperTable(name="H_More", version=1, columns=()))
    with pytest.raises(Unavailable, match="H_Counts of bringing to version 2"):
        shop.open()
    assert versions(shop) == [("H_Counts", "bringing", 1)]
    assert "H_More" not in names(shop)
    assert shop.sql('SELECT "Name" FROM "H_Counts"') == [("same",), ("same",)]


def test_tables_of_a_missing_plugin_stay(opened: Opened) -> None:
    """When a plugin is removed its tables keep their rows, and the plugin finds them when it returns."""
    shop = opened(counts())
    shop.apply(SHOP)
    shop.sql('INSERT INTO "H_Counts" ("Name", "Calls") VALUES (?, 1)', ("kept",))
    opened().open()
    shop = opened(VERSION_2)
    shop.open()
    assert shop.sql('SELECT "Name" FROM "H_Counts"') == [("kept",)]


def record_as(shop: Workshop, definition: str, **values: object) -> None:
    """Set columns of the row of H_Counts in H_Tables."""
    shop.sql(f'UPDATE "H_Tables" SET "Definition" = {definition} WHERE "Name" = \'H_Counts\'')
    for name, value in values.items():
        shop.sql(f'UPDATE "H_Tables" SET "{name}" = ? WHERE "Name" = \'H_Counts\'', (value,))


def test_a_table_of_another_plugin_is_handed_over(opened: Opened) -> None:
    """The table of another plugin closes the application until its row in H_Tables has the name of the new plugin."""
    shop = opened(counts())
    shop.apply(SHOP)
    shop.sql('INSERT INTO "H_Counts" ("Name", "Calls") VALUES (?, 1)', ("kept",))
    record_as(shop, '"Definition"', Plugin="alpha")
    for table in (counts(), counts(2, columns=(), indexes=())):
        shop = opened(table)
        with pytest.raises(
            Unavailable, match=r"'bringing'\) belongs to the plugin 'alpha' .* set Plugin to 'bringing'"
        ):
            shop.open()
    record_as(shop, '"Definition"', Plugin="bringing")
    opened(VERSION_2).open()
    assert shop.sql('SELECT "Name" FROM "H_Counts"') == [("kept",)]


def test_a_name_in_another_letter_case_is_refused(opened: Opened) -> None:
    """A table whose name differs from the one in the database only in letter case closes the application."""
    opened(counts()).apply(SHOP)
    with pytest.raises(Unavailable, match=r"H_COUNTS \(plugin 'bringing'\) has the name H_Counts in the database"):
        opened(HelperTable(name="H_COUNTS", version=2, columns=())).open()


def test_a_definition_with_numbers_as_texts(opened: Opened) -> None:
    """A plugin goes on with a table whose definition was recorded with a text in the place of a number."""
    shop = opened(counts())
    shop.apply(SHOP)
    record_as(shop, """replace("Definition", '"Maximum":100', '"Maximum":"100"')""")
    assert '"Maximum":"100"' in str(shop.sql('SELECT "Definition" FROM "H_Tables" WHERE "Name" = \'H_Counts\''))
    opened(counts()).open()
    shop = opened(VERSION_2)
    shop.open()
    assert versions(shop) == [("H_Counts", "bringing", 2)]


def test_a_definition_that_cannot_be_read(opened: Opened) -> None:
    """A damaged definition closes the application with the table's name, and only while a plugin needs the table."""
    shop = opened(counts())
    shop.apply(SHOP)
    record_as(shop, "'{'")
    opened(HelperTable(name="H_More", version=1, columns=())).open()
    with pytest.raises(Unavailable, match=r"definition of the table H_Counts \(plugin 'bringing'\) in H_Tables cannot"):
        opened(VERSION_2).open()


def test_doctor_names_tables_of_missing_plugins(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    """``apilane doctor`` lists the tables that no loaded plugin has."""
    shop = opened(counts())
    shop.apply(SHOP)
    opened()
    with pytest.raises(SystemExit):
        doctor.main(["--data-dir", str(shop.data_dir)])
    assert "keeps the table H_Counts of the plugin 'bringing', which is not loaded" in capsys.readouterr().out


def test_a_table_that_no_plugin_registers(opened: Opened) -> None:
    """A request for a table that no plugin has is an error with the table's name."""
    shop = opened(counts())
    shop.apply(SHOP)
    with pytest.raises(LookupError, match="'H_Other'"):
        shop.open().table("H_Other")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (HelperTable(name="Counts", version=1, columns=()), "'Counts', which is not a name of a helper table"),
        (HelperTable(name="H_" + "x" * 29, version=1, columns=()), "30 characters at most"),
        (HelperTable(name="H_Count1", version=1, columns=()), "letters or '_'"),
        (HelperTable(name="H_schema", version=1, columns=()), "reserved for the core"),
        (HelperTable(name="H_Tables", version=1, columns=()), "reserved for the core"),
        (HelperTable(name="H_Email_Fold", version=1, columns=()), "reserved for the core"),
        (counts(0), "has version 0"),
        (counts(columns=(column("Name"), column("name"))), "the column 'name' twice"),
        (counts(columns=(column("id"),)), "lists the column ID"),
        (counts(columns=(column("Na me"),)), "a column 'Na me'"),
        (counts(indexes=(Index(("Missing",)),)), "no column 'Missing'"),
        (counts(constraints=(ForeignKey(property="Calls", entity="Items"),)), "a foreign key to 'Items'"),
        (counts(constraints=(ForeignKey(property="Name", entity="Users"),)), "a foreign key 'Name'; expected a Number"),
        (counts(2**40), "the last version is"),
        (counts("1"), "a wrong value at version (Expected `int`, got `str`)"),  # type: ignore[arg-type]
        (counts(1.5), "a wrong value at version (Expected `int`, got `float`)"),  # type: ignore[arg-type]
        (counts(True), "a wrong value at version (Expected `int`, got `bool`)"),
        (counts(columns=("Text",)), "a wrong value at columns[0] (Expected `object`, got `str`)"),
        (counts(columns=column("Text")), "a wrong value at columns (Expected `array`, got `object`)"),
        (counts(columns=[column("Text")]), "a list or a set in a place of a tuple"),
        (counts(columns=(column("Text", str),)), "columns[0].Type (Expected `int`, got `object`)"),  # type: ignore[arg-type]
        (counts(columns=(column("Text", maximum="9"),)), "columns[0].Maximum (Expected `int | null`, got `str`)"),  # type: ignore[arg-type]
        (counts(columns=(column("Text", maximum=-1),)), "'Text' with the maximum -1; expected 1 or more"),
        (counts(columns=(column("N", PropertyType.Number, maximum=9),)), "'N' with a maximum; only a String has one"),
        (counts(columns=(column("Text", decimal_places=2),)), "'Text' with decimal_places; only a Number"),
        (counts(columns=(column("N", PropertyType.Number, decimal_places=9),)), "'N' with 9 decimal places"),
        (counts(columns=(Property(name="Key", encrypted=True),)), "'Key', which column(...) does not make"),
        (counts(constraints=("Unique",)), "a wrong value at constraints[0] (Expected `object`, got `str`)"),
        (counts(constraints=(Unique(properties="Name"),)), "constraints[0].Properties (Expected `array`, got `str`)"),  # type: ignore[arg-type]
        (counts(constraints=(Unique(properties=()),)), "a constraint or an index without columns"),
        (counts(indexes=(Index(()),)), "a constraint or an index without columns"),
        (HelperTable(name=5, version=1, columns=()), "a wrong value at name (Expected `str`, got `int`)"),  # type: ignore[arg-type]
    ],
)
def test_unfit_tables_stop_start_up(opened: Opened, table: HelperTable, told: str) -> None:
    """An invalid table is reported with its plugin and hook before an application is opened."""
    with pytest.raises(PluginError, match=r"'bringing', hook apilane_register_tables: registers a table") as caught:
        opened(table)
    assert told in str(caught.value)


@contextmanager
def child(version: int, shop: Workshop) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has the table at that version; it opens the application when it gets a line."""
    module, pipe = [sys.executable, "-m", "tests.plugins.bringing"], subprocess.PIPE
    command = [*module, str(version), str(shop.data_dir), shop.stored.definition.token]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_open_at_once(opened: Opened) -> None:
    """Of several processes one changes the table; all of them see the change, and each row exists once."""
    shop = opened()
    shop.apply(SHOP)
    with child(1, shop) as first, child(1, shop) as second, child(1, shop) as third:
        for process in (first, second, third):
            go(process)
        answers = [process.communicate(timeout=60) for process in (first, second, third)]
    assert [out for out, _ in answers] == ["ID Name Calls Odd\n"] * 3, answers
    assert versions(shop) == [("H_Counts", "bringing", 1)]


def test_killed_at_any_moment(opened: Opened) -> None:
    """After ``kill -9`` the table has its old or its new version with every row, and the next opening completes it."""
    shop = opened()
    shop.apply(SHOP)
    chance, rows = random.Random(1), 20_000
    with child(1, shop) as process:
        go(process)
        assert process.communicate(timeout=60)[0]
    shop.sql('INSERT INTO "H_Counts" ("Name", "Calls") VALUES (?, ?)', *((f"n{n}", n) for n in range(rows)))
    for version in range(2, 8):
        with child(version, shop) as process:
            go(process)
            time.sleep(chance.uniform(0, 0.06))
            process.kill()
            process.wait()
        last = {0: "Even", 1: "Odd"}
        ((_, _, found),) = versions(shop)
        assert found in {version - 1, version}
        assert columns_of(shop, "H_Counts") == ["ID", "Name", "Calls", last[int(str(found)) % 2]]
        with child(version, shop) as process:
            go(process)
            out, errors = process.communicate(timeout=60)
        assert out == f"ID Name Calls {last[version % 2]}\n", errors
        assert versions(shop) == [("H_Counts", "bringing", version)]
        assert shop.sql('SELECT count(*), sum("Calls") FROM "H_Counts"') == [(rows, rows * (rows - 1) // 2)]
    assert shop.sql("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(
    ("table", "provider", "told"),
    [
        (counts(columns=(column("rowid"),), indexes=()), "SQLite", "keeps the column name rowid for itself"),
        (counts(columns=(column("xmin"),), indexes=()), "PostgreSQL", "keeps the column name xmin for itself"),
        (counts(columns=(column("Long", maximum=20_000),), indexes=()), "MySQL", "16383 characters at most"),
        (
            counts(columns=(column("Long"),), constraints=(Unique(properties=("Long",)),), indexes=()),
            "MySQL",
            "cannot be unique",
        ),
        (counts(columns=(column("Key", maximum=900),), indexes=(Index(("Key",)),)), "SQLServer", "1800 bytes"),
        (WIDE, "MySQL", "8125 are allowed"),
    ],
)
def test_a_table_beyond_the_limits_is_refused_by_the_plan(
    tmp_path: Path, table: HelperTable, provider: str, told: str
) -> None:
    """A plan for a new application is refused if its database cannot hold a plugin's table: the message names table and
    plugin. Another provider is not affected.
    """
    settings = Settings(data_dir=tmp_path, plugins=())
    capabilities = capabilities_of(freeze(load_plugins(settings, [Bringing(table)]), settings))
    shop = ApplicationDefinition(name="Shop", token=new_token(), storage_provider=provider, entities=system_entities())
    ((place, sentence),) = capabilities.storage_problems(shop)
    assert place == "Application.StorageProvider"
    assert sentence.startswith("the table H_Counts")
    assert "of the plugin 'bringing': " in sentence
    assert told in sentence


def test_hook_apilane_register_tables(write_plugin: Callable[..., Settings]) -> None:
    """A plugin's tables are stored with its name; a second table with that name, in any letter case, is refused."""
    body = """
        from apilane.plugin import HelperTable, column

        @hookimpl
        def apilane_register_tables(settings):
            return [HelperTable(name=name, version=1, columns=(column("Name"),)) for name in "{names}".split()]
        """
    settings = write_plugin("keeps", body.replace("{names}", "H_Counts H_Notes"))
    hooks = freeze(load_plugins(settings), settings)
    assert [table.name for table in hooks.tables if hooks.plugin_of(table) == "keeps"] == ["H_Counts", "H_Notes"]
    settings = write_plugin("keeps", body.replace("{names}", "H_Counts H_COUNTS"))
    with pytest.raises(PluginError, match=r"registers a table 'H_COUNTS', and so does"):
        freeze(load_plugins(settings), settings)
