"""Conditions over paths and values of the caller in every call: reads, related records, statistics, transactions,
files, users and accounts, in an application with tenants."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import Server
from tests.http.uploads import download, upload

NewClient = Callable[..., Client]
AsOperator = Callable[..., Client]
ME = {"User": "ID"}


def leaf(property: str, value: Any = ME, operator: str = "equal") -> dict[str, Any]:
    """One condition."""
    return {"Property": property, "Operator": operator, "Value": value}


def rule(entity: str, action: str, role: str = "AUTHENTICATED", **keys: Any) -> dict[str, Any]:
    """A rule with every property."""
    given = {"Entity": entity, "Role": role, "Action": action, **keys}
    return given if action == "delete" or "Properties" in given else {**given, "Properties": "*"}


def foreign_key(property: str, entity: str, on_delete: str = "NoAction") -> dict[str, Any]:
    """A foreign key."""
    return {"Type": "ForeignKey", "Property": property, "Entity": entity, "OnDelete": on_delete}


NUMBER = {"Type": "Number"}
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Clinics", "DifferentiationEntity": "Clinic", "AllowUserRegister": True},
    "Entities": [
        {"Name": "Clinic", "Properties": [{"Name": "Title"}]},
        {"Name": "Users", "Properties": [{"Name": "Ward", "Maximum": 20}, {"Name": "ChiefID", **NUMBER}]},
        {
            "Name": "Patients",
            "Properties": [{"Name": "DoctorID", **NUMBER}, {"Name": "Title"}],
            "Constraints": [foreign_key("DoctorID", "Users")],
        },
        {
            "Name": "Visits",
            "ChangeTracking": True,
            "Properties": [
                {"Name": "PatientID", **NUMBER},
                {"Name": "Note", "Maximum": 50},
                {"Name": "Code", "Maximum": 20},
                {"Name": "Planned", "Type": "Date"},
            ],
            "Constraints": [foreign_key("PatientID", "Patients"), {"Type": "Unique", "Properties": ["Code"]}],
        },
        {
            "Name": "Members",
            "Differentiation": True,
            "Properties": [{"Name": "VisitID", **NUMBER}, {"Name": "UserID", **NUMBER}],
            "Constraints": [foreign_key("VisitID", "Visits")],
        },
    ],
    "Security": [
        rule("Patients", "get"),
        rule("Members", "post"),
        rule("Visits", "get", "doctor", Where=leaf("PatientID.DoctorID")),
        rule("Visits", "get", Properties=["Code", "PatientID", "Planned"], Where=leaf("Members(VisitID).UserID")),
        rule("Visits", "put", "doctor", Where=leaf("PatientID.DoctorID")),
        rule("Visits", "put", Properties=["Planned"], Where=leaf("Members(VisitID).UserID")),
        rule("Visits", "post", "doctor", Check=leaf("PatientID.DoctorID")),
        rule("Visits", "post", "planner", Check=leaf("Planned", {"Now": "+1h"}, "greater")),
        rule("Visits", "delete", "doctor", Where=leaf("PatientID.DoctorID")),
        rule("Users", "get", Properties=["Username", "Ward"], Where=leaf("Ward", {"User": "Ward"})),
        rule("Users", "put", "chief", Properties=["Ward"], Where=leaf("ChiefID")),
        rule("Files", "get", Where=leaf("Owner.Ward", {"User": "Ward"})),
        rule("Files", "delete", Where=leaf("Owner")),
        rule("Files", "post", Check=leaf("Name", ".txt", "endswith")),
    ],
}


class Clinic:
    """Doctors anna and boris (ward A and B), nurse nina (ward A), all in clinic 1; zoey, a doctor of clinic 2."""

    def __init__(self, client: Client, operator: Client) -> None:
        self.client, self.operator = client, operator
        first, second = operator.add("Clinic", {"Title": "One"}, {"Title": "Two"})
        self.clinics = (first, second)
        self.ids: dict[str, int] = {}
        self.callers: dict[str, Client] = {}
        for name, roles, ward, clinic in (
            ("anna", "doctor,chief", "Α", first),
            ("boris", "doctor,planner", "B", first),
            ("nina", None, "α", first),
            ("zoey", "doctor", "Α", second),
        ):
            id = self.ids[name] = client.register(name)
            chief = {"ChiefID": self.ids["anna"]} if name == "nina" else {}
            operator.change("Users", {"ID": id, "Roles": roles, "Ward": ward, "Clinic_ID": clinic, **chief})
            self.callers[name] = client.as_user(client.login(name))
        self.patients = operator.add(
            "Patients", *({"DoctorID": self.ids[name], "Title": name} for name in ("anna", "boris", "zoey"))
        )
        self.visits = operator.add(
            "Visits", *({"PatientID": id, "Note": f"n{id}", "Code": f"c{id}"} for id in self.patients)
        )
        # Nina takes part in Boris's visit; a record of clinic 2 says the same about Anna's visit.
        for visit, clinic in ((1, first), (0, second)):
            values = {"VisitID": self.visits[visit], "UserID": self.ids["nina"], "Clinic_ID": clinic}
            operator.add("Members", values)

    def seen(self, name: str, entity: str = "Visits", **query: Any) -> list[dict[str, Any]]:
        """The records that a caller gets."""
        return self.callers[name].records(entity, **query)


@pytest.fixture
def clinic(new_application: NewClient, as_operator: AsOperator) -> Clinic:
    """A new application for each test."""
    client = new_application(MANIFEST)
    return Clinic(client, as_operator(client))


def at(visits: list[dict[str, Any]]) -> list[int]:
    """The IDs of records."""
    return sorted(visit["ID"] for visit in visits)


@pytest.mark.better("B-X1")
def test_paths_and_tenants(clinic: Clinic) -> None:
    """A path counts only related records of the caller's tenant; a right by one path hides what the other grants."""
    anna, boris, _ = clinic.visits
    assert at(clinic.seen("anna")) == [anna]
    [visit] = clinic.seen("nina")
    assert (visit["ID"], visit["Code"]) == (boris, f"c{clinic.patients[1]}")
    assert "Note" not in visit
    clinic.operator.add("Members", {"VisitID": boris, "UserID": clinic.ids["anna"], "Clinic_ID": clinic.clinics[0]})
    notes = {visit["ID"]: visit["Note"] for visit in clinic.seen("anna")}
    assert notes == {anna: f"n{clinic.patients[0]}", boris: None}
    clinic.operator.change("Users", {"ID": clinic.ids["nina"], "Clinic_ID": None})
    nina = clinic.client.as_user(clinic.client.login("nina"))
    assert nina.records("Visits") == []
    record = clinic.operator.add("Members", {"VisitID": anna, "UserID": clinic.ids["nina"], "Clinic_ID": None})
    assert at(nina.records("Visits")) == [anna]
    assert record
    assert error_of(clinic.client.get("Data/Get", entity="Visits")).code == "UNAUTHORIZED"


@pytest.mark.better("B-X1")
def test_statistics_related_records_and_history(clinic: Clinic) -> None:
    """Totals, aggregates, distinct values, expanded lists and history under a path tell of records in reach only."""
    anna = clinic.callers["anna"]
    own, patient = clinic.visits[0], clinic.patients[0]
    assert anna.get("Data/Get", entity="Visits", getTotal="true").json()["Total"] == 1
    assert anna.get("Stats/Aggregate", entity="Visits", properties="ID.count,ID.max").json()[0] == {
        "ID_count": 1,
        "ID_max": own,
    }
    assert anna.get("Stats/Distinct", entity="Visits", property="Code").json() == [{"Code": f"c{patient}"}]
    assert len(anna.get("Stats/Aggregate", entity="Visits", properties="ID.count", groupBy="PatientID").json()) == 1
    for name in ("Note", "Created"):
        condition = json.dumps(leaf(name, None, "notequal"))
        answer = anna.get("Data/Get", entity="Visits", filter=condition)
        assert answer.status_code == 400, name
    lists = {
        record["ID"]: [visit["ID"] for visit in record["Expanded"]["Visits(PatientID)"]]
        for record in clinic.seen("anna", "Patients", expand="Visits(PatientID)")
    }
    assert lists == {clinic.patients[0]: [own], clinic.patients[1]: [], clinic.patients[2]: []}
    assert anna.change("Visits", {"ID": own, "Note": "new"}) == 1
    assert anna.get("Data/GetHistoryByID", entity="Visits", id=own).json()["Data"][0]["Note"] == f"n{patient}"
    clinic.operator.change("Patients", {"ID": patient, "DoctorID": clinic.ids["boris"]})
    assert error_of(anna.get("Data/GetHistoryByID", entity="Visits", id=own)).code == "NOT_FOUND"


@pytest.mark.better("B-X1")
def test_writes_over_paths(clinic: Clinic) -> None:
    """Put, delete and post obey paths: before the write, after it, in arrays and in transactions."""
    anna, nina = clinic.callers["anna"], clinic.callers["nina"]
    own, foreign, _ = clinic.visits
    assert anna.put("Data/Put", [{"ID": own, "Note": "x"}, {"ID": foreign, "Note": "x"}], entity="Visits").json() == 1
    moved = {"ID": own, "PatientID": clinic.patients[1]}
    assert error_of(anna.put("Data/Put", moved, entity="Visits")).code == "UNAUTHORIZED"
    both = {"Put": [{"Entity": "Visits", "Data": [{"ID": own, "Note": "y"}, moved]}]}
    assert error_of(anna.post("Data/Transaction", both)).code == "UNAUTHORIZED"
    assert clinic.operator.record("Visits", own)["Note"] == "x"
    sent = {"ID": foreign, "Note": "x", "Planned": 5}
    assert nina.put("Data/Put", sent, entity="Visits").json() == 1
    stored = clinic.operator.record("Visits", foreign)
    assert (stored["Note"], stored["Planned"]) == (f"n{clinic.patients[1]}", 5)
    assert nina.put("Data/Put", {"ID": own, "Planned": 5}, entity="Visits").json() == 0
    (made,) = anna.add("Visits", {"PatientID": clinic.patients[0]})
    assert error_of(anna.post("Data/Post", {"PatientID": clinic.patients[1]}, entity="Visits")).code == "UNAUTHORIZED"
    assert error_of(anna.post("Data/Post", {"Note": "no patient"}, entity="Visits")).code == "UNAUTHORIZED"
    assert anna.delete("Data/Delete", entity="Visits", ids=f"{made},{foreign}").json() == [made]
    assert at(clinic.operator.records("Visits")) == clinic.visits


@pytest.mark.better("B-X1")
def test_related_records_of_the_same_transaction(clinic: Clinic) -> None:
    """A check sees what the transaction has written before it."""
    nina, anna = clinic.callers["nina"], clinic.visits[0]
    put = {"Action": "Put", "Entity": "Visits", "Data": {"ID": anna, "Planned": 7}}
    join = {"Action": "Post", "Entity": "Members", "Data": {"VisitID": anna, "UserID": clinic.ids["nina"]}}
    answer = nina.post("Data/TransactionOperations", {"Operations": [put, join, put]})
    assert answer.status_code == 200, answer.text
    assert clinic.operator.record("Visits", anna)["Planned"] == 7


@pytest.mark.better("B-X1")
def test_moments(clinic: Clinic) -> None:
    """``Now`` with a shift is the time of the call."""
    boris = clinic.callers["boris"]
    now = clinic.operator.record("Visits", clinic.visits[0])["Created"]
    for hours, expected in ((3, ""), (0, "UNAUTHORIZED"), (-3, "UNAUTHORIZED")):
        answer = boris.post("Data/Post", {"Planned": now + hours * 3_600_000}, entity="Visits")
        assert (error_of(answer).code if answer.status_code != 200 else "") == expected


@pytest.mark.better("B-X1")
def test_errors_of_constraints(clinic: Clinic) -> None:
    """A constraint must tell that a value exists, but its error has no value and no record of others."""
    anna = clinic.callers["anna"]
    taken = anna.post("Data/Post", {"PatientID": clinic.patients[0], "Code": f"c{clinic.patients[1]}"}, entity="Visits")
    assert error_of(taken).code == "UNIQUE_CONSTRAINT_VIOLATION"
    referenced = anna.delete("Data/Delete", entity="Visits", ids=clinic.visits[0])
    assert error_of(referenced).code == "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    for answer in (taken, referenced):
        assert not any(digit in answer.text for digit in "0123456789")
    for hidden in (clinic.visits[2], 999_999):
        for change in ({"PatientID": 888_888}, {"Code": f"c{clinic.patients[1]}"}):
            answer = anna.put("Data/Put", {"ID": hidden, **change}, entity="Visits")
            assert answer.text == "0"


@pytest.mark.better("B-X1")
def test_users(clinic: Clinic) -> None:
    """Rules on Users obey conditions, and letters compare without case; Account calls obey no rules."""
    assert {user["Username"] for user in clinic.seen("nina", "Users")} == {"anna", "nina"}
    assert {user["Username"] for user in clinic.seen("zoey", "Users")} == {"zoey"}
    nina, anna = clinic.callers["nina"], clinic.callers["anna"]
    assert error_of(nina.get("Data/GetByID", entity="Users", id=clinic.ids["boris"])).code == "NOT_FOUND"
    change = [{"ID": clinic.ids[name], "Ward": "C"} for name in ("nina", "boris", "zoey")]
    assert anna.put("Data/Put", change, entity="Users").json() == 1
    assert {user["Username"] for user in clinic.seen("nina", "Users")} == {"nina"}
    told = nina.get("Account/UserData").json()
    assert told["User"]["Ward"] == "C"
    assert told["Security"]
    assert "Where" not in json.dumps(told["Security"])
    assert nina.put("Account/Update", {"Ward": "b"}).json()["Ward"] == "b"
    assert {user["Username"] for user in clinic.seen("nina", "Users")} == {"boris", "nina"}
    clinic.operator.change("Users", {"ID": clinic.ids["nina"], "Ward": None})
    assert clinic.seen("nina", "Users") == []


@pytest.mark.better("B-X1")
def test_files(clinic: Clinic, server: Server) -> None:
    """List, download, delete and upload of files obey conditions over the owner; a refused upload leaves nothing."""
    anna, boris, nina = (clinic.callers[name] for name in ("anna", "boris", "nina"))
    file = upload(anna, b"ward a", "a.txt").json()
    assert [each["ID"] for each in nina.get("Files/Get").json()["Data"]] == [file]
    assert download(nina, file).content == b"ward a"
    assert boris.get("Files/Get").json()["Data"] == []
    assert error_of(download(boris, file)).code == "FILE_NOT_FOUND"
    assert clinic.callers["zoey"].get("Files/Get").json()["Data"] == []
    assert nina.delete("Files/Delete", ids=file).json() == []
    folder = server.data_dir / "apps" / clinic.client.token / "files"
    assert error_of(upload(anna, b"x", "a.csv")).code == "UNAUTHORIZED"
    assert len(list(folder.iterdir())) == 1
    assert [each["ID"] for each in anna.get("Files/Get").json()["Data"]] == [file]
    assert anna.delete("Files/Delete", ids=file).json() == [file]
    assert error_of(download(anna, file)).code == "FILE_NOT_FOUND"


@pytest.mark.better("B-X1")
def test_renames(clinic: Clinic, server: Server) -> None:
    """After a rename the rules grant the same; nothing is granted in between."""
    renamed = json.loads(json.dumps(MANIFEST))
    renamed["Application"]["Token"] = clinic.client.token
    del renamed["Security"]
    patients = renamed["Entities"][2]
    patients |= {"Name": "People", "RenamedFrom": "Patients"}
    patients["Properties"][0] = {"Name": "LeaderID", "RenamedFrom": "DoctorID", **NUMBER}
    patients["Constraints"] = [foreign_key("LeaderID", "Users")]
    renamed["Entities"][3]["Constraints"][0]["Entity"] = "People"
    server.apply(renamed)
    assert at(clinic.seen("anna")) == [clinic.visits[0]]
    assert at(clinic.seen("boris")) == [clinic.visits[1]]


@pytest.mark.better("B-X1")
@pytest.mark.sqlite_only("reads the catalog of SQLite")
def test_indexes_come_and_go(clinic: Clinic, server: Server) -> None:
    """``apply`` makes an index on (property, ID) for the conditions of reads, and drops it with the last of them."""

    def indexes(table: str) -> set[tuple[str, ...]]:
        names = server.sql(clinic.client.token, f"SELECT name FROM pragma_index_list('{table}')")
        columns = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
        return {tuple(row[0] for row in server.sql(clinic.client.token, columns, name)) for name in names}

    assert ("DoctorID", "ID") in indexes("Patients")
    assert ("UserID", "Clinic_ID", "ID") in indexes("Members")
    assert ("DoctorID",) not in indexes("Patients")
    query = 'SELECT "ID" FROM "Visits" WHERE "PatientID" IN (SELECT "ID" FROM "Patients" WHERE "DoctorID" = 1)'
    plan = server.sql(clinic.client.token, f"EXPLAIN QUERY PLAN {query}")
    assert not any(row[3].startswith("SCAN") for row in plan), plan
    server.apply({**MANIFEST, "Application": {**MANIFEST["Application"], "Token": clinic.client.token}, "Security": []})
    assert ("DoctorID", "ID") not in indexes("Patients")
    assert ("DoctorID",) in indexes("Patients")
    assert ("UserID", "Clinic_ID", "ID") not in indexes("Members")
