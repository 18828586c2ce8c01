"""Data/Transaction and Data/TransactionOperations (docs/reference/protocol/query-language.md section 7)."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, error_of
from tests.http.conftest import PROVIDER, AsOperator, NewClient

TEN = "(" + " UNION ALL ".join(f"SELECT {number} AS n" for number in range(10)) + ")"
ENDLESS = f"SELECT COUNT(*) AS n FROM {', '.join(f'{TEN} t{number}' for number in range(14))}"
ALL = [{"Action": action, "Properties": "*"} for action in ("get", "post", "put")] + [{"Action": "delete"}]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Orders", "AllowUserRegister": True},
    "Entities": [
        {"Name": "Orders", "ChangeTracking": True, "Properties": [{"Name": "Title", "Required": True}]},
        {
            "Name": "Lines",
            "Properties": [
                {"Name": "Order_ID", "Type": "Number"},
                {"Name": "Quantity", "Type": "Number", "Maximum": 1_000_000},
                {"Name": "Note", "Type": "String"},
            ],
            "Constraints": [{"Type": "ForeignKey", "Property": "Order_ID", "Entity": "Orders"}],
        },
        {"Name": "Owned", "Properties": [{"Name": "Text"}]},
        {"Name": "Limited", "Properties": [{"Name": "Text"}]},
        {"Name": "Scarce", "Properties": [{"Name": "Size", "Type": "Number"}]},
        {"Name": "Closed", "Properties": [{"Name": "Text"}]},
    ],
    "CustomEndpoints": [
        {"Name": "Count", "Query": "SELECT COUNT(*) AS N FROM Lines WHERE Order_ID = {Order}"},
        {"Name": "Raise", "Query": "UPDATE Lines SET Quantity = Quantity + {By} WHERE Order_ID = {Order}"},
        {"Name": "Broken", "Query": "INSERT INTO Lines (Order_ID, Created) VALUES (987654321, 0)"},
        {"Name": "Endless", "Query": ENDLESS},
        {"Name": "Guarded", "Query": "SELECT 1 AS One"},
    ],
    "Security": [
        *({"Entity": entity, "Role": "ANONYMOUS", **rule} for entity in ("Orders", "Lines") for rule in ALL),
        *({"Entity": "Owned", "Role": "AUTHENTICATED", "Record": "Owned", **rule} for rule in ALL),
        {
            "Entity": "Limited",
            "Role": "ANONYMOUS",
            "Action": "post",
            "Properties": "*",
            "RateLimit": {"MaxRequests": 3, "Per": "Hour"},
        },
        {
            "Entity": "Scarce",
            "Role": "AUTHENTICATED",
            "Action": "post",
            "Properties": "*",
            "RateLimit": {"MaxRequests": 20, "Per": "Hour"},
        },
        *({"CustomEndpoint": name, "Role": "ANONYMOUS"} for name in ("Count", "Raise", "Broken", "Endless")),
    ],
}
if PROVIDER == "postgresql":
    for endpoint in MANIFEST["CustomEndpoints"][:3]:
        for name in ("Lines", "Order_ID", "Quantity", "Created", "N"):
            endpoint["Query"] = re.sub(rf"\b{name}\b", f'"{name}"', endpoint["Query"])


@pytest.fixture(scope="module")
def orders(new_application: NewClient) -> Client:
    """An application with orders and their lines."""
    return new_application(MANIFEST)


def run(client: Client, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a TransactionOperations call that succeeds."""
    response = client.post("Data/TransactionOperations", {"Operations": list(operations)})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["Results"]
    return results


def refused(client: Client, *operations: dict[str, Any]) -> WireError:
    """The error of a TransactionOperations call."""
    return error_of(client.post("Data/TransactionOperations", {"Operations": list(operations)}))


def post(entity: str, data: Any, label: str | None = None) -> dict[str, Any]:
    return {"Action": "Post", "Entity": entity, "Data": data, **({"Id": label} if label else {})}


def total(client: Client, entity: str = "Orders") -> int:
    found: int = client.get("Data/Get", entity=entity, getTotal="true", pageSize=1).json()["Total"]
    return found


def test_grouped(orders: Client) -> None:
    """Data/Transaction runs every Post, then every Put, then every Delete, and adds up their results."""
    first, second, third = orders.add("Orders", {"Title": "a"}, {"Title": "b"}, {"Title": "c"})
    body = {
        "delete": [{"entity": "orders", "ids": f"{second},{third}"}],
        "Put": [{"Entity": "Orders", "Data": [{"ID": first, "Title": "A"}, {"ID": 987654321, "Title": "x"}]}],
        "Post": [{"Entity": "Orders", "Data": [{"Title": "d"}, {"Title": "e"}]}, {"Entity": "Lines", "Data": {}}],
    }
    answer = orders.post("Data/Transaction", body).json()
    assert (len(answer["Post"]), answer["Put"], answer["Delete"]) == (3, 1, [second, third])
    assert orders.record("Orders", first)["Title"] == "A"
    assert orders.record("Orders", answer["Post"][1])["Title"] == "e"


@pytest.mark.parametrize("body", [{}, {"Post": None, "Put": [], "Delete": None}])
def test_grouped_nothing(orders: Client, body: dict[str, Any]) -> None:
    """All three lists are optional, and an empty part has an empty result."""
    assert orders.post("Data/Transaction", body).json() == {"Post": [], "Put": 0, "Delete": []}


@pytest.mark.better("B-Q10")
def test_references(orders: Client) -> None:
    """A reference stands for the first ID of an earlier Post: in values, ID, Ids and parameters."""
    created, lines, changed, counted, gone = run(
        orders,
        post("Orders", [{"Title": "first"}, {"Title": "second"}], "order"),
        post(
            "Lines", [[{"Order_ID": "$ref:order", "Quantity": 1, "Note": ["$ref:order"]}], {"Order_ID": None}], "line"
        ),
        {"Action": "put", "Entity": "Orders", "Data": {"ID": "$ref:order", "Title": "$ref:line"}},
        {"Action": 3, "Entity": "count", "Data": {"Order": "$ref:order"}},
        {"Action": "DELETE", "Entity": "Lines", "Ids": "$ref:line, 987654321"},
    )
    order, line = created["Created"][0], lines["Created"][0]
    nothing = {"Created": None, "Affected": None, "Deleted": None, "CustomResult": None}
    assert created == {"Action": "Post", "Entity": "Orders", **nothing, "Created": [order, order + 1]}
    assert changed == {"Action": "Put", "Entity": "Orders", **nothing, "Affected": 1}
    assert counted == {"Action": "Custom", "Entity": "count", **nothing, "CustomResult": [[{"N": 1}]]}
    assert gone == {"Action": "Delete", "Entity": "Lines", **nothing, "Deleted": [line]}
    assert orders.record("Orders", order)["Title"] == str(line)
    assert orders.record("Lines", lines["Created"][1])["Order_ID"] is None


def test_references_in_a_value(orders: Client) -> None:
    """A reference inside an object or array value of a String becomes its number in the stored JSON text."""
    created, lines = run(
        orders,
        post("Orders", {"Title": "x"}, "o"),
        post("Lines", {"Note": {"of": ["$ref:o", "not $ref:o"]}}),
    )
    note = orders.record("Lines", lines["Created"][0])["Note"]
    assert note == f'{{"of":[{created["Created"][0]},"not $ref:o"]}}'


def test_grouped_has_no_references(orders: Client) -> None:
    """Data/Transaction has no labels, so a text that looks like a reference is stored like any other."""
    ids = orders.post("Data/Transaction", {"Post": [{"Entity": "Lines", "Data": {"Note": "$ref:o"}}]}).json()["Post"]
    assert orders.record("Lines", ids[0])["Note"] == "$ref:o"


def test_repeated_label(orders: Client) -> None:
    """A repeated label replaces the earlier one for the operations after it."""
    first, line, second, other = run(
        orders,
        post("Orders", {"Title": "1"}, "o"),
        post("Lines", {"Order_ID": "$ref:o"}),
        post("Orders", {"Title": "2"}, "o"),
        post("Lines", {"Order_ID": "$ref:o"}),
    )
    assert orders.record("Lines", line["Created"][0])["Order_ID"] == first["Created"][0]
    assert orders.record("Lines", other["Created"][0])["Order_ID"] == second["Created"][0]


def test_bad_references(orders: Client) -> None:
    """A reference to a later, unknown or empty operation, to itself, or to another entity is an error, and nothing is
    stored."""
    before = total(orders), total(orders, "Lines")

    def message(label: str) -> str:
        return (
            f"Referenced operation '{label}' has no results or does not exist: "
            "a reference needs an earlier Post operation with this Id"
        )

    line = {"Order_ID": "$ref:o"}
    assert refused(orders, post("Lines", line), post("Orders", {"Title": "x"}, "o")).message == message("o")
    assert refused(orders, post("Lines", line, "o")).message == message("o")
    assert refused(orders, post("Orders", {"Title": "x"}, "O"), post("Lines", line)).message == message("o")
    assert refused(orders, post("Orders", [], "o"), post("Lines", line)).message == message("o")
    assert refused(orders, {"Action": "Put", "Entity": "Orders", "Data": {"ID": 1, "Title": "x"}, "Id": "o"},
                   post("Lines", line)).message == message("o")  # fmt: skip
    assert refused(orders, {"Action": "Custom", "Entity": "Count", "Data": {"Order": "$ref:o"}}).message == message("o")
    error = refused(orders, post("Lines", {}, "o"), post("Lines", line))
    assert error.code == "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    assert error.message.endswith("$ref:o is a record of Lines, not of Orders")
    assert (error.property, error.entity) == ("Order_ID", "Lines")
    error = refused(
        orders, post("Lines", {}, "o"), {"Action": "Put", "Entity": "Orders", "Data": {"ID": "$ref:o", "Title": "x"}}
    )
    assert error.message == "Something went wrong: $ref:o is a record of Lines, not of Orders"
    error = refused(orders, post("Lines", {}, "o"), {"Action": "Delete", "Entity": "Orders", "Ids": "$ref:o"})
    assert error.message == "Something went wrong: $ref:o is a record of Lines, not of Orders"
    assert (total(orders), total(orders, "Lines")) == before


def test_values_of_references_are_checked(orders: Client, new_application: NewClient) -> None:
    """The ID of a reference obeys the rules of its property, and an error in it rolls everything back."""
    manifest = {**MANIFEST, "Entities": [*MANIFEST["Entities"], {"Name": "Tight", "Properties": [
        {"Name": "Most", "Type": "Number", "Maximum": 0}]}], "Security": [*MANIFEST["Security"],
        {"Entity": "Tight", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"}]}  # fmt: skip
    client = new_application(manifest)
    error = refused(client, post("Orders", {"Title": "x"}, "o"), post("Tight", {"Most": "$ref:o"}))
    assert error == WireError("VALIDATION", "Maximum allowed value 0", "Most", "Tight")
    assert total(client) == 0


MALFORMED: list[tuple[Any, str]] = [
    (None, "Something went wrong: the body must be an object"),
    ([], "Something went wrong: the body must be an object"),
    ({}, "At least one operation is required"),
    ({"Operations": []}, "At least one operation is required"),
    ({"Operations": {}}, "Something went wrong: Operations must be an array"),
    ({"Operations": [None]}, "Something went wrong: Operations[0] must be an object"),
    ({"Operations": [{"Action": "Drop"}]}, "Something went wrong: Operations[0].Action must be one of Post, Put,"),
    ({"Operations": [{}]}, "Something went wrong: Operations[0].Action must be one of Post, Put, Delete, Custom"),
    ({"Operations": [{"Action": 4}]}, "Unknown transaction action '4'"),
    ({"Operations": [{"Action": "-1"}]}, "Unknown transaction action '-1'"),
    ({"Operations": [{"Action": "9" * 5000}]}, "Unknown transaction action '9"),
    ({"Operations": [{"Action": "Post", "Entity": "Orders"}]}, "Post operation requires Data"),
    ({"Operations": [{"Action": "Put", "Entity": "Orders"}]}, "Put operation requires Data"),
    ({"Operations": [{"Action": "Delete", "Entity": "Orders"}]}, "Delete operation requires Ids"),
    ({"Operations": [{"Action": "Delete", "Entity": "Orders", "Ids": [1]}]}, "Something went wrong: Operations[0].Ids"),
    ({"Operations": [{"Action": "Custom", "Entity": "Count"}]}, "Custom operation requires Data with endpoint"),
    ({"Operations": [{"Action": "Custom", "Entity": "Count", "Data": []}]}, "Custom operation requires Data with"),
    ({"Operations": [{"Action": "Custom", "Entity": "None", "Data": {}}]}, "Custom endpoint 'None' does not exist"),
    ({"Operations": [post("None", {})]}, "Entity None does not exist"),
    ({"Operations": [post("Files", {})]}, "Use 'Files' controller to access files."),
    ({"Operations": [{"Action": "Post", "Entity": 1.5, "Data": {}}]}, "Something went wrong: Operations[0].Entity"),
    (
        {"Operations": [post("Orders", {"Title": "x"})] * 1001},
        "Something went wrong: 1001 operations; expected at most",
    ),
]


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    "operations",
    [
        [post(LONG, {})],
        [post("Lines", {"Order_ID": f"$ref:{LONG}"})],
        [post("Lines", {}, LONG), post("Lines", {"Order_ID": f"$ref:{LONG}"})],
        [post("Lines", {}, LONG), {"Action": "Delete", "Entity": "Orders", "Ids": f"$ref:{LONG}"}],
        [{"Action": "Custom", "Entity": LONG, "Data": {}}],
        [{"Action": LONG, "Entity": "Orders", "Data": {}}],
        [{"Action": "9" * 1_000_000, "Entity": "Orders", "Data": {}}],
        [post("Orders", {LONG: 1})],
    ],
    ids=["entity", "unknown label", "label", "ids", "endpoint", "action", "number", "property"],
)
def test_long_names_are_cut(orders: Client, operations: list[Any]) -> None:
    """An error never repeats a name of a megabyte."""
    answer = orders.post("Data/TransactionOperations", {"Operations": operations})
    assert answer.status_code == 400
    assert len(answer.content) < 500


@pytest.mark.parametrize(("body", "message"), MALFORMED, ids=lambda value: str(value)[:40])
def test_malformed(orders: Client, body: Any, message: str) -> None:
    """A body that cannot be read is an ERROR that names the place, and nothing is stored."""
    before = total(orders)
    error = error_of(orders.post("Data/TransactionOperations", body))
    assert error.code == "ERROR"
    assert error.message.startswith(message)
    assert total(orders) == before


def test_all_or_nothing(orders: Client) -> None:
    """An error in any operation undoes all others, with their history, and names the entity."""
    (order,) = orders.add("Orders", {"Title": "kept"})
    before = total(orders), total(orders, "Lines")
    start = [
        post("Orders", {"Title": "x"}),
        {"Action": "Put", "Entity": "Orders", "Data": {"ID": order, "Title": "changed"}},
        {"Action": "Custom", "Entity": "Raise", "Data": {"Order": order, "By": 1}},
    ]
    assert refused(orders, *start, post("Lines", {"Order_ID": 987654321})) == WireError(
        "FOREIGN_KEY_CONSTRAINT_VIOLATION", "Foreign key constraint violation", "Order_ID", "Lines"
    )
    assert refused(orders, *start, post("Orders", {})) == WireError("REQUIRED", "Required", "Title", "Orders")
    assert refused(orders, *start, {"Action": "Custom", "Entity": "Broken", "Data": {}}).code == "ERROR"
    assert (total(orders), total(orders, "Lines")) == before
    assert orders.record("Orders", order)["Title"] == "kept"


def test_each_operation_is_admitted(orders: Client) -> None:
    """An operation that the rules do not grant refuses the whole transaction, with the error of the single call."""
    before = total(orders)
    start = post("Orders", {"Title": "x"})
    closed = WireError("UNAUTHORIZED", "Unauthorized", None, "Closed")
    assert refused(orders, start, post("Closed", {"Text": "x"})) == closed
    assert refused(orders, start, {"Action": "Delete", "Entity": "Closed", "Ids": "1"}) == closed
    guarded = {"Action": "Custom", "Entity": "Guarded", "Data": {}}
    assert refused(orders, start, guarded) == WireError("UNAUTHORIZED", "Unauthorized", None, "Guarded")
    assert total(orders) == before


def test_record_scope(orders: Client) -> None:
    """Put and Delete reach only the records that the single calls reach."""
    ann, bob = orders.signed_in("anna"), orders.signed_in("bobby")
    (own,) = ann.add("Owned", {"Text": "of ann"})
    changed, gone = run(
        bob,
        {"Action": "Put", "Entity": "Owned", "Data": {"ID": own, "Text": "taken"}},
        {"Action": "Delete", "Entity": "Owned", "Ids": str(own)},
    )
    assert (changed["Affected"], gone["Deleted"]) == (0, [])
    assert ann.record("Owned", own)["Text"] == "of ann"


@pytest.mark.better("B-S6")
def test_each_operation_counts(orders: Client) -> None:
    """Each operation counts against the limit of its rule."""
    run(orders, post("Limited", {"Text": "1"}), post("Limited", {"Text": "2"}))
    response = orders.post("Data/Transaction", {"Post": [{"Entity": "Limited", "Data": {"Text": "3"}}] * 2})
    assert error_of(response).code == "RATE_LIMIT_EXCEEDED"
    assert "retry-after" in response.headers


@pytest.mark.better("B-S6")
def test_operations_count_in_order(orders: Client) -> None:
    """The operations before a refused one, and that one, count as single calls do; later ones do not. The first fault
    in the order of the operations is the answer, be it the limit or a value."""
    user = orders.signed_in("scarce")
    good, bad = {"Entity": "scarce", "Data": {"Size": 1}}, {"Entity": "Scarce", "Data": {"Size": "x"}}

    def refused(*posts: dict[str, Any]) -> str:
        return error_of(user.post("Data/Transaction", {"Post": list(posts)})).code

    assert refused(good, bad, *[good] * 30) == "VALIDATION"  # 2 uses
    assert refused(*[good] * 9, {**good, "Entity": "Closed"}) == "UNAUTHORIZED"  # 9
    assert refused(*[good] * 9, bad) == "RATE_LIMIT_EXCEEDED"  # the 9 that are left, before the value
    assert refused(bad) == "RATE_LIMIT_EXCEEDED"


@pytest.mark.better("B-S6")
def test_a_fault_before_the_limit(orders: Client) -> None:
    """A value that is refused by the last operation that the limit admits is the answer, and all uses are counted."""
    user = orders.signed_in("lastuse")
    good, bad = {"Entity": "Scarce", "Data": {"Size": 1}}, {"Entity": "Scarce", "Data": {"Size": "x"}}
    response = user.post("Data/Transaction", {"Post": [*[good] * 19, bad, *[good] * 20]})
    assert error_of(response).code == "VALIDATION"
    assert error_of(user.post("Data/Post", {"Size": 1}, entity="Scarce")).code == "RATE_LIMIT_EXCEEDED"
    assert user.get("Data/Get", entity="Scarce").status_code == 401  # the rule is for posts alone


def test_history(orders: Client, as_operator: AsOperator) -> None:
    """A Put in a transaction stores the record's earlier state, like the single call."""
    (order,) = orders.add("Orders", {"Title": "before"})
    run(orders, {"Action": "Put", "Entity": "Orders", "Data": {"ID": order, "Title": "after"}})
    query = "SELECT Data FROM H_Entity_Change_Tracking WHERE RecordID = {Order}"
    if PROVIDER == "postgresql":
        query = 'SELECT "Data" FROM "H_Entity_Change_Tracking" WHERE "RecordID" = {Order}'
    rows = as_operator(orders).post("Custom/Test", {"Name": "Test", "Query": query}, Order=order).json()[0]
    assert ['"Title":"before"' in row["Data"] for row in rows] == [True]


@pytest.mark.slow
def test_time_limit(orders: Client) -> None:
    """A transaction that takes longer than 20 seconds is rolled back, and the error says so."""
    before = total(orders)
    error = refused(orders, post("Orders", {"Title": "x"}), {"Action": "Custom", "Entity": "Endless", "Data": {}})
    assert error == WireError(
        "ERROR", "Something went wrong: the transaction took longer than 20 seconds and was rolled back"
    )
    assert total(orders) == before


def test_thousand_operations(orders: Client) -> None:
    """A transaction of 1,000 operations is carried out."""
    results = run(orders, *[post("Lines", {"Quantity": number}) for number in range(1000)])
    ids = [result["Created"][0] for result in results]
    assert len(set(ids)) == 1000
    assert orders.record("Lines", ids[-1])["Quantity"] == 999


def test_opposite_orders(orders: Client) -> None:
    """Transactions that change the same records in opposite orders all succeed."""
    records = orders.add("Orders", *({"Title": str(number)} for number in range(10)))
    lines = orders.add("Lines", *({"Quantity": number} for number in range(10)))
    gate = threading.Barrier(8)

    def change(number: int) -> int:
        operations = [
            {"Action": "Put", "Entity": entity, "Data": {"ID": id, key: number}}
            for entity, key, ids in (("Orders", "Title", records), ("Lines", "Quantity", lines))
            for id in ids
        ]
        gate.wait()
        for turn in range(5):
            chosen = operations if (number + turn) % 2 else operations[::-1]
            response = orders.post("Data/TransactionOperations", {"Operations": chosen})
            assert response.status_code == 200, response.text
        return number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == list(range(8))


def test_users(new_application: NewClient) -> None:
    """A transaction changes users like the single call: a new password ends the user's sessions at once."""
    manifest = {**MANIFEST, "Security": [*MANIFEST["Security"],
        {"Entity": "Users", "Role": "AUTHENTICATED", "Record": "Owned", "Action": "put",
         "Properties": ["Password"]}]}  # fmt: skip
    client = new_application(manifest)
    id = client.register("evelyn")
    user = client.as_user(client.login("evelyn"))
    change = {"Action": "Put", "Entity": "Users", "Data": {"ID": id, "Password": "Another-Passw0rd"}}
    reference = {**change, "Data": {"ID": id, "Password": "$ref:o"}}
    error = refused(user, post("Orders", {"Title": "x"}, "o"), reference)
    assert (error.code, error.property) == ("VALIDATION", "Password")
    assert run(user, change)[0]["Affected"] == 1
    assert user.is_anonymous()
    assert client.login("evelyn", "Another-Passw0rd")


def test_audit(orders: Client, as_operator: AsOperator, server: Any) -> None:
    """An operator's transaction is on record before it runs, with names and IDs of all operations and no values."""
    operator = as_operator(orders)
    (order,) = orders.add("Orders", {"Title": "x"})
    run(
        operator,
        post("Lines", {"Note": "secret-value"}),
        {"Action": "Put", "Entity": "Orders", "Data": {"ID": order, "Title": "secret-value"}},
        {"Action": "Custom", "Entity": "Count", "Data": {"Order": 1}},
    )
    records = server.with_store(lambda store, _hooks: store.audit(orders.token))
    texts = [line for record in records for line in record.changes]
    assert (
        f"Data/TransactionOperations: Data/Post Lines: 1 to create; Data/Put Orders: Title of IDs {order}; Custom Count"
        in texts
    )
    assert not any("secret-value" in text for text in texts)
