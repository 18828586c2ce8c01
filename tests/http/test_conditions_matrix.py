"""Random rules with conditions on a real server, against an oracle in plain Python (``conditions_oracle``)."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apilane.testing.client import Client
from tests.http import conditions_oracle as oracle
from tests.http.conditions_oracle import TENANT, Scene

NewClient = Callable[..., Client]
AsOperator = Callable[..., Client]
Record = dict[str, Any]

SEEDS = range(int(os.environ.get("APILANE_TEST_RULE_SETS", "8")))
"""Each makes one rule set; more of them find rarer faults."""
BY_ID = '[{"Property":"ID","Direction":"ASC"}]'
REFERENCES = {
    ("Visits", "DoctorID"): "Users",
    ("Visits", "PatientID"): "Patients",
    ("Visits", "ParentID"): "Visits",
    ("Members", "VisitID"): "Visits",
}
ON_DELETE = {"VisitID": "Cascade"}
NUMBER, TEXT = {"Type": "Number"}, {"Maximum": 100}
PROPERTIES: dict[str, dict[str, Record]] = {
    "Users": {"Ward": TEXT, "Level": NUMBER, "Senior": {"Type": "Boolean"}, "Since": {"Type": "Date"}},
    "Patients": {"DoctorID": NUMBER, "Title": TEXT, "Severity": NUMBER},
    "Visits": {
        **dict.fromkeys(("DoctorID", "PatientID", "ParentID", "Status", "Price"), NUMBER),
        "Note": {},
        "Ward": TEXT,
        "Flag": {"Type": "Boolean"},
        "Planned": {"Type": "Date"},
    },
    "Members": {"VisitID": NUMBER, "UserID": NUMBER, "Part": TEXT},
}
OUTSIDE = "FOREIGN_KEY_CONSTRAINT_VIOLATION"
DONE: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def counts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write what was compared into the report of the run."""
    yield
    told = ", ".join(f"{count:,} {what}" for what, count in DONE.items())
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f" {len(SEEDS)} rule sets: {told} ")


def manifest(rules: list[Record], tenants: frozenset[str]) -> Record:
    """The clinic with these rules; the entities in ``tenants`` are separated by company."""
    entities: list[Record] = [{"Name": "Company", "Properties": [{"Name": "Title"}]}]
    for name, properties in PROPERTIES.items():
        keys = [
            {
                "Type": "ForeignKey",
                "Property": key,
                "Entity": target,
                "OnDelete": "Cascade" if key == "VisitID" else "SetNull",
            }
            for (entity, key), target in REFERENCES.items()
            if entity == name
        ]
        for key in keys:
            if key["Property"] == "ParentID":
                key["OnDelete"] = "NoAction"
        item: Record = {"Name": name, "Properties": [{"Name": key, **more} for key, more in properties.items()]}
        if name != "Users":
            item |= {"Differentiation": name in tenants, "ChangeTracking": name == "Visits", "Constraints": keys}
        entities.append(item)
    return {
        "Apilane": 1,
        "Application": {"Name": "Clinic", "DifferentiationEntity": "Company"},
        "Entities": entities,
        "Security": rules,
    }


class World:
    """An application with one rule set, its callers, and all records as the oracle knows them."""

    def __init__(
        self, client: Client, seeder: Client, rules: list[Record], tenants: frozenset[str], chance: random.Random
    ) -> None:
        self.rules, self.tenants, self.chance, self.seeder = rules, tenants, chance, seeder
        self.now_ms = int(time.time() * 1000)
        self.tables: dict[str, list[Record]] = {"Users": [], "Patients": [], "Visits": [], "Members": []}
        companies = seeder.add("Company", {"Title": "A"}, {"Title": "B"})
        self.companies = [None, *companies]
        self.callers: list[tuple[Client, Record | None, list[str] | None]] = [(client, None, None)]
        for number, roles in enumerate(([], ["doctor"], ["doctor", "nurse"], ["nurse", "clerk"])):
            values = {
                "Ward": chance.choice([None, "Émile", "bad"]),
                "Level": chance.choice([None, 1, 2, 3]),
                "Senior": chance.choice([None, True, False]),
                "Since": chance.choice([None, self.now_ms, self.now_ms - 9 * oracle.DAY_MS]),
                TENANT: chance.choice([*self.companies, companies[0]]),
            }
            user = {"ID": client.register(f"user{number}"), **values}
            assert seeder.change("Users", {**user, "Roles": ",".join(roles) or None}) == 1
            self.tables["Users"].append(user)
            self.callers.append((client.as_user(client.login(f"user{number}")), user, list(roles)))
        users = [each["ID"] for each in self.tables["Users"]]
        self.add(
            "Patients",
            [
                {"DoctorID": chance.choice([None, *users]), "Title": chance.choice([None, "Anna", "émile", "BAD"])}
                | {"Severity": chance.choice([None, 1, 2, 3])}
                for _ in range(8)
            ],
        )
        for _ in range(3):
            self.add("Visits", [oracle.random_values(chance, self.scene(None)) for _ in range(9)])
        visits = [each["ID"] for each in self.tables["Visits"]]
        parts = [None, "lead", "Lead", "guest"]
        self.add(
            "Members",
            [
                {"VisitID": chance.choice(visits), "UserID": chance.choice(users), "Part": chance.choice(parts)}
                for _ in range(25)
            ],
        )

    def add(self, entity: str, sent: list[Record]) -> None:
        """Store records as the operator, with a random company where the entity has one."""
        rows = [
            {**values, TENANT: self.chance.choice(self.companies) if entity in self.tenants else None}
            for values in sent
        ]
        stored = rows if entity in self.tenants else sent
        for id, row in zip(self.seeder.add(entity, *stored), rows, strict=True):
            self.tables[entity].append({"ID": id, "Owner": None, **row})

    def scene(self, caller: Record | None) -> Scene:
        """The oracle's view of a caller."""
        return Scene(caller, self.tables, REFERENCES, self.now_ms, self.tenants)

    @property
    def records(self) -> list[Record]:
        """The visits."""
        return self.tables["Visits"]

    def delete(self, ids: list[int]) -> None:
        """Delete visits and their members from what the oracle knows."""
        self.tables["Visits"][:] = [each for each in self.records if each["ID"] not in ids]
        self.tables["Members"][:] = [each for each in self.tables["Members"] if each["VisitID"] not in ids]

    def assert_stored(self) -> None:
        """The database has what the oracle expects."""
        names = ["ID", "Owner", *oracle.PROPERTIES]
        stored = self.seeder.records("Visits", pageSize=1000, properties=",".join(names), sort=BY_ID)
        assert [{name: row[name] for name in names} for row in stored] == [
            {name: row[name] for name in names} for row in self.records
        ]
        DONE["stored tables"] += 1


@pytest.fixture(params=SEEDS)
def world(request: pytest.FixtureRequest, new_application: NewClient, as_operator: AsOperator) -> World:
    """One generated rule set; every second one with tenants."""
    chance = random.Random(request.param)
    rules = oracle.random_rules(chance)
    tenants = frozenset({"Users", *chance.sample(["Visits", "Patients", "Members"], request.param % 4)})
    client = new_application(manifest(rules, tenants))
    return World(client, as_operator(client), rules, tenants, chance)


def code(answer: Any) -> str:
    """The error code of an answer; empty for success."""
    return "" if answer.status_code == 200 else str(answer.json()["Code"])


def shown(record: Record) -> Record:
    """A record in the order of an answer."""
    return {name: record[name] for name in ["ID", *PROPERTIES["Visits"]] if name in record}


@pytest.mark.better("B-X1")
def test_reads(world: World) -> None:
    """Get, GetByID, totals, cursors and history tell exactly what the rules grant."""
    for client, user, roles in world.callers:
        rules, scene = oracle.effective(world.rules, "get", roles), world.scene(user)
        if not rules:
            assert code(client.get("Data/Get", entity="Visits")) == "UNAUTHORIZED"
            continue
        expected = oracle.visible(rules, world.records, scene)
        answer = client.get("Data/Get", entity="Visits", pageSize=1000, sort=BY_ID, getTotal="true").json()
        assert (answer["Data"], answer["Total"]) == (list(map(shown, expected)), len(expected)), rules
        read, after = [], ""
        while after is not None:
            page = client.get(
                "Data/Get",
                entity="Visits",
                pageSize=7,
                sort=BY_ID,
                cursor="true",
                **({"after": after} if after else {}),
            ).json()
            read += page["Data"]
            after = page["Next"]
        assert read == answer["Data"]
        by_id = {each["ID"]: each for each in expected}
        for record in world.records[:10]:
            answer = client.get("Data/GetByID", entity="Visits", id=record["ID"])
            history = client.get("Data/GetHistoryByID", entity="Visits", id=record["ID"])
            if record["ID"] in by_id:
                assert answer.json() == by_id[record["ID"]]
                assert history.status_code == 200
            else:
                assert [code(answer), code(history)] == ["NOT_FOUND"] * 2
            DONE["records by ID"] += 1
        DONE["lists"] += 2


@pytest.mark.better("B-X1")
def test_inference(world: World) -> None:
    """Filter, sort, aggregate, group and distinct accept exactly the properties that tell nothing hidden, and count
    the records within reach only."""
    for client, user, roles in world.callers:
        rules = oracle.effective(world.rules, "get", roles)
        if not rules:
            continue
        usable, seen = oracle.usable(rules), oracle.visible(rules, world.records, world.scene(user))
        counted = client.get("Stats/Aggregate", entity="Visits", properties="ID.count").json()
        assert counted[0]["ID_count"] == len(seen)
        for name in oracle.PROPERTIES:
            condition = json.dumps({"Property": name, "Operator": "notequal", "Value": None})
            order = json.dumps([{"Property": name, "Direction": "ASC"}])
            answers = [
                client.get("Data/Get", entity="Visits", filter=condition, pageSize=1000),
                client.get("Data/Get", entity="Visits", sort=order, pageSize=1000),
                client.get("Data/Get", entity="Visits", sort=order, pageSize=1, cursor="true"),
                client.get("Stats/Aggregate", entity="Visits", properties=f"{name}.count"),
                client.get("Stats/Aggregate", entity="Visits", properties="ID.count", groupBy=name, pageSize=1000),
                client.get("Stats/Distinct", entity="Visits", property=name),
            ]
            assert [answer.status_code == 200 for answer in answers] == [name in usable] * len(answers), name
            DONE["inferences"] += len(answers)
            if name in usable:
                filtered, ordered, _, aggregate, groups, distinct = [answer.json() for answer in answers]
                wanted = [each["ID"] for each in seen if each[name] is not None]
                assert sorted(each["ID"] for each in filtered["Data"]) == wanted
                assert sorted(each["ID"] for each in ordered["Data"]) == [each["ID"] for each in seen]
                assert aggregate[0][f"{name}_count"] == len(wanted)
                found = Counter(each[name] for each in seen)
                assert {each[name]: each["ID_count"] for each in groups} == found
                assert {each[name] for each in distinct} == set(found)


def assert_history(client: Client, rules: list[Record], record: Record, scene: Scene) -> None:
    """History shows the properties of the get rules that the live record meets, and others as null."""
    met = oracle.met(rules, record, scene)
    if met:
        for item in client.get("Data/GetHistoryByID", entity="Visits", id=record["ID"]).json()["Data"]:
            hidden = oracle.granted(rules) - oracle.granted(met)
            assert all(item[name] is None for name in hidden)
            assert oracle.granted(met) <= item.keys()


@pytest.mark.better("B-X1")
def test_writes(world: World) -> None:
    """Put, Post and Delete change exactly what the rules grant, alone, in arrays and in transactions."""
    for client, user, roles in world.callers * 2:
        scene = world.scene(user)
        _puts(world, client, scene, roles)
        _posts(world, client, scene, roles)
        _deletes(world, client, scene, roles)
        world.assert_stored()


def _puts(world: World, client: Client, scene: Scene, roles: list[str] | None) -> None:
    chance = world.chance
    rules = oracle.effective(world.rules, "put", roles)
    names = [name for name in oracle.PROPERTIES if name in oracle.granted(rules)]
    for record in chance.sample(world.records, min(8, len(world.records))) if rules else []:
        values = oracle.random_values(chance, scene)
        change = {name: values[name] for name in chance.sample(names, chance.randint(1, len(names)))}
        written = oracle.granted(oracle.met(rules, record, scene))
        if oracle.leads_out({name: change[name] for name in written & change.keys()}, scene):
            answer = client.put("Data/Put", {"ID": record["ID"], **change}, entity="Visits")
            assert code(answer) == OUTSIDE, (change, record, rules, answer.text)
            DONE["puts that lead out of a tenant"] += 1
            continue
        after = oracle.put(rules, record, change, scene)
        sent = {"ID": record["ID"], **change}
        if chance.random() < 0.3:
            answer = client.post("Data/Transaction", {"Put": [{"Entity": "Visits", "Data": [sent]}]})
        else:
            answer = client.put("Data/Put", [sent] if chance.random() < 0.5 else sent, entity="Visits")
            if after is not None:
                assert answer.json() == after[1], (sent, record, rules)
        assert code(answer) == ("UNAUTHORIZED" if after is None else ""), (sent, record, rules, answer.text)
        DONE["puts"] += 1
        if after is not None:
            record.update(after[0])
            assert_history(client, oracle.effective(world.rules, "get", roles), record, scene)
        if "PatientID" in names and "PatientID" not in oracle.granted(oracle.met(rules, record, scene)):
            # A reference that does not exist tells nothing about a record, or a property, that is out of reach.
            answer = client.put("Data/Put", {"ID": record["ID"], "PatientID": 999_999}, entity="Visits")
            assert answer.text == "0"
            DONE["references out of reach"] += 1


def _posts(world: World, client: Client, scene: Scene, roles: list[str] | None) -> None:
    chance = world.chance
    rules = oracle.effective(world.rules, "post", roles)
    for _ in range(5 if rules else 0):
        values = oracle.random_values(chance, scene)
        sent = {name: values[name] for name in chance.sample(oracle.PROPERTIES, chance.randint(0, 5))}
        answer = client.post("Data/Post", sent, entity="Visits")
        if oracle.leads_out({name: sent[name] for name in oracle.granted(rules) & sent.keys()}, scene):
            assert code(answer) == OUTSIDE, (sent, rules, answer.text)
            DONE["posts that lead out of a tenant"] += 1
            continue
        stored = oracle.post(rules, sent, scene)
        assert code(answer) == ("UNAUTHORIZED" if stored is None else ""), (sent, rules, answer.text)
        if stored is not None:
            world.records.append({**stored, "ID": answer.json()[0]})
        DONE["posts"] += 1


def _deletes(world: World, client: Client, scene: Scene, roles: list[str] | None) -> None:
    rules = oracle.effective(world.rules, "delete", roles)
    parents = {each["ParentID"] for each in world.records}
    free = [each for each in world.records if each["ID"] not in parents]
    if rules and free:
        wanted = world.chance.sample(free, min(4, len(free)))
        gone = [each["ID"] for each in wanted if oracle.met(rules, each, scene)]
        ids = ",".join(str(each["ID"]) for each in wanted)
        assert client.delete("Data/Delete", entity="Visits", ids=ids).json() == sorted(gone)
        world.delete(gone)
        DONE["deletes"] += len(wanted)
