"""``apilane types``: the clients that it writes type-check, refuse what the rules do not grant, and work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server

NODE = shutil.which("node")
TOOLS = Path(sys.prefix, "node", "node_modules", ".bin")

with_node = pytest.mark.skipif(
    NODE is None or not (TOOLS / "tsc").exists() or not (TOOLS / "openapi-typescript").exists(),
    reason="node, typescript and openapi-typescript are not installed: make tools",
)

PLUGIN = '''
from datetime import date
from typing import Literal

from msgspec import Struct

from apilane.plugin import EndpointFunction, hookimpl


class Line(Struct):
    book: int
    kind: Literal["new", "used"] = "new"


class Receipt(Struct):
    total: float
    lines: list[Line]


def order(call, lines: list[Line], day: date | None = None, self_: bool = False) -> Receipt:
    """*/ Orders books. \u2028 // """
    return Receipt(len(lines) * 2.5, lines)


@hookimpl
def apilane_register_functions():
    return [EndpointFunction(name="books.order", function=order)]
'''
EVIL = "*/ ' \" ` `x` \\ \u2028 # type: ignore \n import os"
HARD: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "1 \"Shop\" */ '''"},
    "Entities": [
        {"Name": "constructor", "Description": EVIL, "Properties": [{"Name": "None"}, {"Name": "class"}]},
        {"Name": "client", "Properties": [{"Name": "Kind", "Values": ["a\"'`", EVIL[:30], "\\"]}]},
        {"Name": "__proto__", "Properties": [{"Name": "Text", "Required": True, "Description": EVIL}]},
        {"Name": "custom", "Properties": [{"Name": "Size", "Type": "Number", "Values": [1, 2]}]},
    ],
    "CustomEndpoints": [
        {"Name": "import", "Kind": "python", "Query": "books.order"},
        {"Name": "Rows", "Query": "SELECT {class} AS A, {self} AS B"},
    ],
    "Security": [
        *(
            {"Entity": entity, "Role": "ANONYMOUS", "Action": action, "Properties": "*"}
            for entity in ("constructor", "client", "__proto__", "custom")
            for action in ("get", "post", "put", "delete")
        ),
        {"CustomEndpoint": "import", "Role": "ANONYMOUS"},
        {"CustomEndpoint": "Rows", "Role": "ANONYMOUS"},
    ],
}
PYTHON_USE = """
from apilane.client import Client, F
from written import AtlasClient, CitiesRecord, TripsNew

def use(url: str, application: str, token: str) -> tuple[str, float | None, int]:
    with Client(url, application, user=token) as client:
        atlas = AtlasClient(client)
        city: CitiesRecord = atlas.Cities.get(filter=F("Name") == "Athens")[0]
        trip: TripsNew = {"Title": "A week", "CityID": city["ID"], "Starts": "2027-04-30", "Budget": 2.5}
        (made,) = atlas.Trips.post(trip)
        found = atlas.Trips.get_by_id(made)
        assert atlas.Trips.put({"ID": made, "Budget": None}) == 1
        assert [each["ID"] for each in atlas.Trips.iterate()] == [made]
        assert atlas.Trips.delete([made]) == [made]
        return found["Title"], found["Budget"], atlas.Trips.count()
"""
PYTHON_WRONG = (
    'atlas.Countries.post({"Name": "x"})',
    'atlas.Trips.post({"Title": 5, "Starts": "2027-04-30"})',
    'atlas.Trips.post({"Title": "x"})',
    'atlas.Cities.get()[0]["Geoname"]',
    'atlas.Cities.get()[0]["Population"] + 1',
)
TYPESCRIPT_USE = """
import { AtlasClient, ApilaneError, CitiesRecord, TripsNew } from "./written.js";
declare const process: { argv: string[] };
const [url, application, token] = process.argv.slice(2);
const atlas = new AtlasClient({ url, application, token });
const { Cities, Trips } = atlas.entities;
const city: CitiesRecord = (await Cities.get({ filter: { Property: "Name", Operator: "equal", Value: "Athens" } }))[0];
const trip: TripsNew = { Title: "A week", CityID: city.ID, Starts: "2027-04-30", Budget: 2.5 };
const [made] = await Trips.post(trip);
const found = await Trips.getById(made);
const changed: number = await Trips.put([{ ID: made, Budget: null }]);
const page = await Trips.page({ sort: { Property: "ID", Direction: "DESC" }, pageSize: 5 });
const gone = await Trips.delete(made);
let code = "";
try { await Trips.getById(made); } catch (error) { if (error instanceof ApilaneError) code = error.code; }
console.log(JSON.stringify([found.Title, found.Budget, changed, page.Total, gone.length, code]));
"""
TYPESCRIPT_WRONG = (
    'await atlas.entities.Countries.post({ Name: "x" });',
    'await Trips.post({ Title: 5, Starts: "2027-04-30" });',
    'await Trips.post({ Title: "x" });',
    "city.Geoname;",
    "city.Population + 1;",
)


@pytest.fixture(scope="module")
def apilane(server: Server, atlas: Client) -> Callable[..., str]:
    """Run ``apilane types`` on the data folder of the server; its output."""

    def run(*arguments: str, input: bytes | None = None) -> str:
        command = [sys.executable, "-m", "apilane", "types", *arguments]
        environment = {**os.environ, "APILANE_DATA_DIR": str(server.data_dir)}
        ran = subprocess.run(command, env=environment, capture_output=True, input=input, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()

    return run


@pytest.fixture(scope="module")
def traveller(atlas: Client, operator: Client) -> Client:
    """A user of the demo application, with a city."""
    (country,) = operator.add("Countries", {"Name": "Greece", "Code": "GR", "LongCode": "GRC", "Continent": "Europe"})
    operator.add("Cities", {"Name": "Athens", "CountryID": country})
    return atlas.signed_in("traveller")


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory, http: httpx.Client) -> Iterator[Client]:
    """An application with names and texts that are special in both languages."""
    folder = tmp_path_factory.mktemp("hard")
    (folder / "books.py").write_text(PLUGIN, encoding="utf-8")
    with Server(folder / "data", settings={**CHEAP_PASSWORDS, "plugins_dir": folder}) as running:
        yield Client(http, running.url, running.apply(HARD))


@pytest.fixture(scope="session")
def mypy_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in which mypy keeps what it found in the packages, which takes most of its time."""
    return str(tmp_path_factory.mktemp("mypy"))


def mypy(cache: str, *files: Path) -> list[str]:
    """The errors of mypy in strict mode."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", cache]
    environment = {**os.environ, "MYPYPATH": str(files[0].parent)}
    ran = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, env=environment, check=False)
    return [line for line in ran.stdout.splitlines() if " error: " in line]


def tsc(folder: Path, *files: str) -> list[str]:
    """The errors of the TypeScript compiler in strict mode; without errors the programs are written beside."""
    command = [str(TOOLS / "tsc"), "--strict", "--target", "es2022", "--module", "es2022"]
    command += ["--moduleResolution", "bundler", "--lib", "es2022,dom", *files]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in ran.stdout.splitlines() if "error TS" in line]


def document_of(client: Client) -> bytes:
    """The document for a client."""
    content: bytes = client.http.get(f"{client.url}/openapi.json", headers=client.headers()).content
    return content


def test_python(apilane: Callable[..., str], traveller: Client, tmp_path: Path, mypy_cache: str) -> None:
    """The client in Python passes mypy and works, and mypy refuses calls, values and properties without a rule."""
    (tmp_path / "written.py").write_text(apilane("Atlas", "--language", "python", "--role", "AUTHENTICATED"))
    use = tmp_path / "use.py"
    use.write_text(PYTHON_USE)
    wrong = tmp_path / "wrong.py"
    lines = [f"    {line}" for line in PYTHON_WRONG]
    wrong.write_text("\n".join(["from written import AtlasClient", "def f(atlas: AtlasClient) -> None:", *lines, ""]))
    errors = mypy(mypy_cache, tmp_path / "written.py", use, wrong)
    assert all(f"{wrong.name}:" in error for error in errors), errors
    assert {int(error.split(":")[1]) for error in errors} == set(range(3, 3 + len(PYTHON_WRONG)))
    program = f"from use import use; print(use({traveller.url!r}, {traveller.token!r}, {traveller.user!r}))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "('A week', 2.5, 0)\n", ran.stderr


@with_node
def test_typescript(apilane: Callable[..., str], traveller: Client, tmp_path: Path) -> None:
    """The client in TypeScript passes the compiler and works, and the compiler refuses what no rule grants."""
    text = apilane("--document", "-", "--language", "typescript", input=document_of(traveller))
    (tmp_path / "written.ts").write_text(text, encoding="utf-8")
    (tmp_path / "use.ts").write_text(TYPESCRIPT_USE, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    assert tsc(tmp_path, "use.ts") == []
    command = [NODE or "", "use.js", traveller.url, traveller.token, traveller.user or ""]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout) == ["A week", 2.5, 1, 1, 1, "NOT_FOUND"], ran.stderr
    (tmp_path / "wrong.ts").write_text(TYPESCRIPT_USE + "\n".join(TYPESCRIPT_WRONG), encoding="utf-8")
    first = TYPESCRIPT_USE.count("\n") + 1
    lines = {int(found) for error in tsc(tmp_path, "wrong.ts") for found in re.findall(r"\((\d+),", error)}
    assert lines == set(range(first, first + len(TYPESCRIPT_WRONG)))


@with_node
def test_a_generator_of_others(traveller: Client, operator: Client, hard: Client, tmp_path: Path) -> None:
    """``openapi-typescript`` makes types of every document, and the compiler accepts them."""
    for number, client in enumerate((traveller, operator, hard)):
        (tmp_path / f"{number}.json").write_bytes(document_of(client))
        command = [str(TOOLS / "openapi-typescript"), f"{number}.json", "-o", f"made{number}.ts"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "use.ts").write_text(
        'import type { components, paths } from "./made0";\n'
        'export const city: components["schemas"]["Cities.Record"] = { ID: 1, Name: "Athens" };\n'
        'export type Page = paths["/api/Data/Get"]["get"]["responses"][200]["content"]["application/json"];\n'
        'export const error: components["schemas"]["Error"]["Code"] = "NOT_FOUND";\n'
    )
    assert tsc(tmp_path, "use.ts", "made1.ts", "made2.ts") == []


def test_hard_names_in_python(apilane: Callable[..., str], hard: Client, tmp_path: Path, mypy_cache: str) -> None:
    """Keywords, quotes, comments and line separators of an application do not break the client, and it works."""
    text = apilane("--document", "-", "--language", "python", input=document_of(hard))
    written = tmp_path / "written.py"
    written.write_text(text, encoding="utf-8")
    (name,) = re.findall(r"class (\w+Client):", text)
    use = tmp_path / "use.py"
    use.write_text(
        f"from apilane.client import Client\nfrom written import {name}\n"
        f"with Client({hard.url!r}, {hard.token!r}) as client:\n"
        f"    shop = {name}(client)\n"
        "    (made,) = shop.constructor.post({'None': 'x', 'class': 'y'})\n"
        "    assert shop.constructor.get_by_id(made)['class'] == 'y'\n"
        "    receipt = shop.custom.import_(lines=[{'book': 1}], self_=True)\n"
        "    total: float = receipt['total']\n"
        "    print(total, shop.custom.Rows(class_=3, self_=4))\n"
    )
    assert mypy(mypy_cache, written, use) == []
    ran = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "2.5 [[{'A': 3, 'B': 4}]]\n", ran.stderr


@with_node
def test_hard_names_in_typescript(apilane: Callable[..., str], hard: Client, tmp_path: Path) -> None:
    """The same in TypeScript."""
    text = apilane("--document", "-", "--language", "typescript", input=document_of(hard))
    (tmp_path / "written.ts").write_text(text, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (name,) = set(re.findall(r"class (\w+Client) ", text))
    (tmp_path / "use.ts").write_text(
        f'import {{ {name} }} from "./written.js";\n'
        "declare const process: { argv: string[] };\n"
        f"const shop = new {name}({{ url: process.argv[2], application: process.argv[3] }});\n"
        'const [made] = await shop.entities.constructor.post({ None: "x", class: "y" });\n'
        'const [proto] = await shop.entities["__proto__"].post({ Text: "x" });\n'
        "const kept: string | null = (await shop.entities.constructor.getById(made)).class;\n"
        "const receipt = await shop.custom.import({ lines: [{ book: 1 }] });\n"
        "const total: number = receipt.total;\n"
        "console.log(JSON.stringify([kept, proto, total, await shop.custom.Rows({ class: 3 })]));\n",
        encoding="utf-8",
    )
    assert tsc(tmp_path, "use.ts") == []
    command = [NODE or "", "use.js", hard.url, hard.token]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout) == ["y", 1, 2.5, [[{"A": 3, "B": None}]]], ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Atlas", "--role", "edtor"), "No rule has the role edtor"),
        (("Nothing",), "There is no application Nothing"),
        (("--document", "missing.json"), "cannot be read"),
        (("--document", os.devnull), "is not JSON"),
        ((), "Give either APP or --document"),
        (("Atlas", "--output", "/nowhere/at/all.py"), "cannot be written"),
    ],
)
def test_refusals(server: Server, atlas: Client, arguments: tuple[str, ...], told: str) -> None:
    """A wrong role, application or file ends the command with a message."""
    command = [sys.executable, "-m", "apilane", "types", *arguments, "--language", "python"]
    environment = {**os.environ, "APILANE_DATA_DIR": str(server.data_dir), "COLUMNS": "200"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert told in ran.stderr


def test_other_documents_are_refused(tmp_path: Path) -> None:
    """A document that is not from Apilane is refused with a message."""
    (tmp_path / "other.json").write_text('{"openapi": "3.1.0", "paths": {}}')
    command = [sys.executable, "-m", "apilane", "types", "--document", "other.json", "--language", "python"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "not the OpenAPI document" in ran.stderr
