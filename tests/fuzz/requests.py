"""Strategies for calls: valid ones of every kind, most of them then changed a little to reach deep code.

A ``Call`` has names of callers and credentials, not tokens, so that it is the same in every run;
``tests.fuzz.rendering`` makes the bytes. Texts and numbers that callers choose contain ``MARK`` or ``NUMBER``.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.fuzz.forms import forms
from tests.fuzz.headers import MARK, header_lines
from tests.fuzz.imports import imported
from tests.fuzz.statistics import PAGES, statistics_queries
from tests.fuzz.world import ENDPOINTS, PASSWORD, A

__all__ = ["MARK", "NUMBER", "Call", "calls"]

NUMBER = "990099"
CALLERS = ("ann", "bob", "cid", "dot", "eve") * 3 + ("owner", "owner", "anonymous", "foreign", "unknown", "outsider")


class Call(NamedTuple):
    """One call. ``query``: pairs; ``body``: None for no body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes | None
    caller: str
    credential: str
    application: str
    content_type: str | None
    style: str
    headers: tuple[tuple[str, str], ...] = ()
    parts: int = 1
    breaks_off: bool = False


TEXTS = (
    MARK,
    f"{MARK}' or 1=1 --",
    f'{MARK}"; drop table "Orders"; --',
    f"') union select Password from Users -- {MARK}",
    f"%{MARK}_",
    f"{MARK}\\",
    f"{MARK}\x00",
    f"İıẞςσ{MARK}",
    f"\U0001f600{MARK}\u202e",
    f"{{Owner}}{MARK}",
    f"${{{MARK}}}",
    f"{MARK}\r\nSet-Cookie: a=b",
    MARK * 80,
    "",
    " ",
    "ABC",
    "XYZ",
    "null",
    "true",
    "1,2,3",
    f"{NUMBER},1,,x",
    "1e400",
    "-0",
    "0x10",
    "１２",
)
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    2,
    3,
    -1,
    int(NUMBER),
    float(f"{NUMBER}.25"),
    0.1,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
    1e308,
    float("inf"),
    float("nan"),
)
MOMENTS: tuple[Any, ...] = (
    "2026-01-02",
    "2026-01-02 03:04",
    "2026-02-30",
    "2026-01-02 03:04:05.678",
    "2026-01-02T03:04:05+02:00",
    "0001-01-01",
    "9999-12-31 23:59:59.999",
    1750000000,
    1750000000000,
    -1,
)
NAMES = (
    *("Text", "Amount", "Price", "Done", "Moment", "Code", "Mark", "ID", "Owner", "Created", "OrderID", "Company_ID"),
    *("text", "AMOUNT", "id", "Hidden", "hidden", "Editorial", "Secret", "Password", "Email", "Username", "Roles"),
    *("Token", "H_Token_Hash", "H_Email_Fold", "rowid", "_rowid_", "Nope", "", f'Text" or 1=1 -- {MARK}', f"{MARK}.x"),
)
ENTITIES = (
    ("Orders",) * 9
    + ("Public",) * 9
    + ("Diary", "Diary", "Lines", "Users") * 2
    + (
        *("AuthTokens", "Company", "Locked"),
        *(
            "orders",
            "PUBLIC",
            "Files",
            "files",
            "Nope",
            "",
            "sqlite_master",
            "H_Entity_Change_Tracking",
            f"{MARK}'\"; --",
        ),
    )
)
OPERATORS: tuple[Any, ...] = (
    *("equal", "notequal", "greater", "greaterorequal", "less", "lessorequal", "startswith", "endswith", "contains"),
    *("notcontains", "eq", "==", "!=", "<>", ">", "<=", "sw", "like", "nc", "EQUAL", "9", MARK),
    *(0, 3, 8, 9, 10, None, []),
)
IDS = (*map(str, (*range(-1, 10), 2**63 - 1, 2**63, 1.5)), NUMBER, "x", " 1 ")

one_of = st.sampled_from
texts = one_of(TEXTS) | one_of(TEXTS) | st.text(max_size=6).map(lambda text: MARK + text)
scalars = (
    texts | one_of(NUMBERS) | one_of(MOMENTS) | one_of((None, True, False)) | st.integers(-(2**70), 2**70) | st.floats()
)
values = scalars | scalars | st.lists(scalars, max_size=3) | st.dictionaries(texts, scalars, max_size=2)
names = one_of(NAMES)


FITTING: tuple[tuple[tuple[str, ...], tuple[Any, ...], st.SearchStrategy[Any]], ...] = (
    (("Text", "Mark", "text"), OPERATORS[:10], one_of(TEXTS) | one_of(TEXTS) | st.lists(texts, max_size=3)),
    (("ID", "Amount", "Price", "Owner"), (*OPERATORS[:6], ">", 3), one_of(NUMBERS) | st.integers(-(2**63), 2**63)),
    (("Amount", "ID"), ("contains", 9), one_of(("1,2,3", NUMBER, "", [1, 2, 5.5])) | st.lists(one_of(NUMBERS))),
    (("Created", "Moment"), OPERATORS[:6], one_of(MOMENTS)),
    (("Done",), OPERATORS[:2], one_of((True, False, "on", 1, MARK))),
    (("Text", "Amount", "Moment", "Done", "Owner"), OPERATORS[:2], st.none()),
)
SOUND = st.one_of(
    *(
        st.builds(lambda name, operator, value: {"Property": name, "Operator": operator, "Value": value}, *parts)
        for parts in (
            (one_of(names), one_of(operators), values)
            for names, operators, values in (FITTING[0], FITTING[0], *FITTING)
        )
    )
)


@st.composite
def filters(draw: st.DrawFn, depth: int = 2) -> Any:
    """A filter's tree, mostly well-formed."""
    form = draw(st.integers(0, 5))
    if depth and form == 0:
        items = draw(st.lists(filters(depth - 1), max_size=3))
        return {"Logic": draw(one_of(("AND", "OR", "and", 0, 1, None, "XOR"))), "Filters": items}
    if form < 5:
        return draw(SOUND)
    leaf = {"Property": draw(names), "Operator": draw(one_of(OPERATORS)), "Value": draw(values)}
    odd = draw(st.integers(0, 19))
    if odd == 0:
        leaf.pop(draw(one_of(tuple(leaf))))
    elif odd == 1:
        leaf = {key.upper(): value for key, value in leaf.items()}
    return leaf


SOUND_SORT = st.fixed_dictionaries(
    {"Property": one_of(("ID", "Text", "text", "Created", "Nope")), "Direction": one_of(("ASC", "desc", "", MARK))}
)
sorts = st.lists(SOUND_SORT, max_size=3) | st.lists(
    st.fixed_dictionaries(
        {"Property": names, "Direction": one_of(("ASC", "desc", "", None, 1, f"asc; {MARK}"))},
        optional={"property": texts},
    )
    | one_of((None, {}, "ID", 5)),
    max_size=3,
)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


filter_texts = st.one_of(*([filters().map(_as_json)] * 9), texts)
sort_texts = st.one_of(*([sorts.map(_as_json)] * 9), texts)
lists_of_names = st.lists(names, max_size=4).map(",".join)
lists_of_ids = st.lists(one_of(IDS), max_size=4).map(",".join)
booleans = one_of(("true", "false", "TRUE", "1", "", MARK))
pages = one_of(PAGES)
FORMAT = one_of(("csv", "jsonl", "", MARK))
expands = texts | one_of(("Owner", "Orders(Owner)", "Owner.Orders(Owner)", "Owner,Owner.Owner"))
readings = {"pageIndex": pages, "pageSize": pages, "cursor": booleans, "after": texts, "expand": expands}
records = st.dictionaries(names | texts, values, max_size=5)
bodies = records | st.lists(records | scalars, max_size=3) | scalars


def _query(
    needed: str = "entity id", **chosen: st.SearchStrategy[str]
) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Some of the parameters ``chosen``; those named in ``needed`` are always present."""
    always = {name: chosen.pop(name) for name in needed.split() if name in chosen}
    return st.fixed_dictionaries(always, optional=chosen).map(lambda found: tuple(found.items()))


class Kind(NamedTuple):
    """A kind of call: its path and its parameters."""

    method: str
    path: str
    query: st.SearchStrategy[tuple[tuple[str, str], ...]]
    body: st.SearchStrategy[Any] | None = None


ENTITY = one_of(ENTITIES)
USER = {
    "Username": texts | st.just("user4"),
    "Email": one_of((f"{MARK}@example.com", "a@b", MARK, "")),
    "Firstname": values,
}
SIGN_IN = st.fixed_dictionaries({}, optional={**USER, "Password": texts | st.just(PASSWORD + "x")}) | bodies
ORDER = st.fixed_dictionaries(
    {},
    optional={
        "ID": one_of((1, 2, 3, 7, 8, 9, "1", 0, -1, None, int(NUMBER))),
        "Text": texts,
        "Amount": one_of(NUMBERS),
        "Price": one_of(NUMBERS) | texts,
        "Done": one_of((True, False, "on", 1, None, MARK)),
        "Moment": one_of(MOMENTS) | texts,
        "Code": one_of(("ABC", "XYZ", "abc", MARK)),
        "OrderID": one_of((1, 2, int(NUMBER), None)),
        "Mark": texts,
        "Hidden": texts,
        "Company_ID": one_of((1, 2, None)),
        "Password": texts,
        "Roles": st.just("editor"),
    },
)
SOUND_ORDER = st.fixed_dictionaries(
    {"ID": st.integers(1, 30), "Text": one_of(TEXTS[:6])},
    optional={
        "Amount": st.integers(-(10**9), 10**9),
        "Price": one_of(NUMBERS[:9]),
        "Moment": one_of(MOMENTS[:2]),
        "Code": st.just("ABC"),
    },
)
WRITTEN = ORDER | ORDER | st.lists(ORDER, max_size=3) | bodies
LABELS = one_of(("a", "b", "", MARK))
REFERENCES = LABELS.map(lambda label: f"$ref:{label}")
OPERATION = st.fixed_dictionaries(
    {
        "Action": one_of(("Post", "Post", "put", "DELETE", "Custom", 0, 1, 2, 3, "4", None, MARK)),
        "Entity": one_of((*ENTITIES, *ENDPOINTS)),
    },
    optional={
        "Id": LABELS,
        "Data": WRITTEN | st.dictionaries(names, REFERENCES | values, max_size=3),
        "Ids": lists_of_ids | REFERENCES | values,
    },
)
IN_ORDER = st.fixed_dictionaries({"Operations": st.lists(OPERATION, max_size=4) | values})
GROUPS = st.fixed_dictionaries(
    {}, optional={name: st.lists(OPERATION, max_size=2) | values for name in ("Post", "Put", "Delete", "post")}
)
ENDPOINT = one_of((*ENDPOINTS, "echo", "Nope", "Users", f"{MARK}'", "", "..")).map(lambda name: f"/api/Custom/{name}")
PARAMETERS = st.lists(
    st.tuples(one_of(("A", "S", "N", "D", "F", "a", "Owner", "Owner_Differentiation", MARK)), texts | one_of(IDS)),
    max_size=5,
).map(tuple)
TRIED = one_of(
    ("SELECT {A} a", "DELETE FROM Public", "SELECT Password FROM Users", "SELEC", "PRAGMA writable_schema=1", "")
)
SOUND_FILTERS = SOUND | st.builds(
    lambda logic, items: {"Logic": logic, "Filters": items},
    one_of(("AND", "OR", 1)),
    st.lists(SOUND, min_size=1, max_size=4),
)
COMMON = one_of(("Orders", "Public"))
PAGE = one_of(("1", "2", "5", "0", NUMBER))
SOUND_READS = (
    Kind(
        "GET",
        "/api/Data/Get",
        _query("entity filter", entity=COMMON, filter=SOUND_FILTERS.map(_as_json), getTotal=booleans),
    ),
    Kind(
        "GET", "/api/Data/Get", _query("entity filter sort", entity=COMMON, filter=SOUND.map(_as_json), sort=sort_texts)
    ),
    Kind("GET", "/api/Data/Get", _query("entity sort", entity=COMMON, sort=sort_texts, pageIndex=PAGE, pageSize=PAGE)),
)
KINDS = (
    Kind(
        "GET",
        "/api/Data/Get",
        _query(
            entity=ENTITY,
            filter=filter_texts,
            sort=sort_texts,
            properties=lists_of_names,
            getTotal=booleans,
            **readings,
        ),
    ),
    *SOUND_READS,
    Kind("GET", "/api/Data/GetByID", _query(entity=ENTITY, id=one_of(IDS), properties=lists_of_names)),
    Kind("GET", "/api/Data/GetHistoryByID", _query(entity=ENTITY, id=one_of(IDS), pageSize=pages, pageIndex=pages)),
    Kind("POST", "/api/Data/Post", _query(entity=ENTITY), WRITTEN),
    Kind("POST", "/api/Data/Post", _query(entity=COMMON), SOUND_ORDER),
    Kind("PUT", "/api/Data/Put", _query(entity=ENTITY), WRITTEN),
    Kind("PUT", "/api/Data/Put", _query(entity=COMMON), SOUND_ORDER),
    Kind("DELETE", "/api/Data/Delete", _query(entity=ENTITY, ids=lists_of_ids)),
    Kind(
        "GET",
        "/api/Data/Export",
        _query(entity=ENTITY, format=FORMAT, filter=filter_texts, sort=sort_texts, safe=booleans),
    ),
    Kind("POST", "/api/Data/Import", _query(entity=COMMON, format=st.just("jsonl"), dryRun=booleans), SOUND_ORDER),
    Kind(
        "POST",
        "/api/Data/Import",
        _query(entity=ENTITY, format=FORMAT, dryRun=booleans, safe=booleans, **{"from": pages}),
        WRITTEN,
    ),
    Kind("GET", "/api/Data/Schema", _query(entity=ENTITY)),
    Kind("POST", "/api/Account/Login", _query(), SIGN_IN),
    Kind(
        "POST",
        "/api/Account/SignInStep",
        _query(),
        st.fixed_dictionaries({}, optional={"Challenge": texts | texts.map("v1:{}".format), "Answer": bodies}) | bodies,
    ),
    Kind("POST", "/api/Account/Register", _query(), SIGN_IN),
    Kind("GET", "/api/Account/UserData", _query(entity=ENTITY)),
    Kind("PUT", "/api/Account/Update", _query(), st.fixed_dictionaries({}, optional=USER) | bodies),
    Kind(
        "PUT",
        "/api/Account/ChangePassword",
        _query(),
        st.fixed_dictionaries({}, optional={"Password": texts | st.just(PASSWORD), "NewPassword": texts}) | bodies,
    ),
    Kind("GET", "/api/Account/RenewAuthToken", _query()),
    Kind("GET", "/api/Account/Logout", _query(everywhere=booleans)),
    Kind("GET", "/api/Account/Confirm", _query(token=texts | st.just(A))),
    Kind("GET", "/api/Custom/", PARAMETERS),
    Kind("POST", "/api/Custom/", PARAMETERS, st.fixed_dictionaries({}, optional={"Query": TRIED, "Name": texts})),
    Kind("POST", "/api/Data/Transaction", _query(), GROUPS | GROUPS | bodies),
    Kind("POST", "/api/Data/TransactionOperations", _query(), IN_ORDER | IN_ORDER | bodies),
    Kind("GET", "/api/EntityHistory/Get", _query(entity=ENTITY, recordID=one_of(IDS), pageSize=pages, pageIndex=pages)),
    Kind("DELETE", "/api/EntityHistory/Delete", _query(entity=ENTITY, recordID=one_of(IDS))),
    Kind("GET", "/api/Stats/CountDataAndHistory", _query(entity=ENTITY)),
    Kind("GET", "/api/Application/GetStorageUsed", _query()),
    Kind("GET", "/api/Application/ClearCache", _query()),
    Kind("GET", "/api/Application/Export", _query()),
    Kind("POST", "/api/Application/ImportData", _query("Entity", Entity=st.just("Public")), imported),
    Kind("POST", "/api/Application/ImportData", _query(Entity=one_of(("Public", "Files", MARK))), imported | bodies),
    Kind("GET", "/api/Application/DegenerateEntity", _query(Entity=ENTITY)),
    *(
        Kind("GET", path, query)
        for path, query in statistics_queries(_query, ENTITY, COMMON, names, texts, filter_texts, SOUND.map(_as_json))
    ),
    Kind("GET", "/api/Files/Download", _query(fileID=one_of(IDS), fileUID=texts)),
    Kind("GET", "/", _query()),
    Kind("GET", "/Version", _query()),
    Kind("GET", "/Health/Readiness", _query()),
    Kind("GET", f"/{MARK}", _query(entity=ENTITY)),
)
WEIGHTED = (*(kind for kind in KINDS if "/Data/" in kind.path or "/Stats/" in kind.path for _ in range(3)), *KINDS)
CREDENTIALS = ("bearer",) * 12 + (
    *("lower", "quoted", "upper", "hex", "braces", "no scheme", "twice", "cut off", "garbage", "query", "absent"),
    *("signed",) * 4,
    *("signed wrong", "signed late", "signed in part", "signed by text"),
)
APPLICATIONS = ("header",) * 14 + ("query", "query", "other", "other query", "both", "braces", "hex", "none", "garbage")
TYPES = ("application/json",) * 16 + (
    *("application/json; charset=utf-8", "application/problem+json", "APPLICATION/JSON", "text/json", "text/plain"),
    *("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", f"{MARK}/é", None),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "get", MARK)
STYLES = ("quote",) * 6 + ("plus", "everything", "raw", "twice", "broken")


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A call of any kind, valid or changed in one or two places."""
    kind = draw(one_of(WEIGHTED))
    path = draw(ENDPOINT) if kind.path == "/api/Custom/" else kind.path
    body = None if kind.body is None else json.dumps(draw(kind.body)).encode("utf-8", "surrogatepass")
    call = Call(
        kind.method,
        path,
        draw(kind.query),
        body,
        draw(one_of(CALLERS)),
        draw(one_of(CREDENTIALS)),
        draw(one_of(APPLICATIONS)),
        None if body is None else draw(one_of(TYPES)),
        draw(one_of(STYLES)),
    )
    for _ in range(draw(one_of((0, 0, 0, 0, 1, 1, 2)))):
        call = draw(one_of(CHANGES))(draw, call)
    return call


def _other_method(draw: st.DrawFn, call: Call) -> Call:
    return call._replace(method=draw(one_of(METHODS)))


def _other_path(draw: st.DrawFn, call: Call) -> Call:
    path = call.path
    forms = (
        path.lower(),
        path.upper(),
        path + "/",
        path + "//",
        "/" + path,
        path + f"/{MARK}",
        path[:-1],
        path + ".json",
    )
    forms += (
        path.replace("a", "%61"),
        path.replace("/", "%2F"),
        path + "%00",
        path + "/../Get",
        path + "%ff",
        path + ";x",
    )
    return call._replace(path=draw(one_of(forms)))


def _other_names(draw: st.DrawFn, call: Call) -> Call:
    change = draw(one_of((str.upper, str.lower, str.title, lambda name: name + " ", lambda name: name[:-1])))
    return call._replace(query=tuple((change(name), value) for name, value in call.query))


def _other_value(draw: st.DrawFn, call: Call) -> Call:
    if not call.query:
        return call._replace(query=((draw(texts), draw(texts)),))
    place = draw(st.integers(0, len(call.query) - 1))
    name, value = call.query[place]
    junk = (value[: len(value) // 2], value + value, "[" * 200, '{"Property":' * 50, MARK, value.replace('"', "'"))
    changed = (name, draw(one_of(junk)))
    return call._replace(query=(*call.query[:place], changed, *call.query[place + draw(one_of((0, 1))) :]))


def _other_body(draw: st.DrawFn, call: Call) -> Call:
    body = call.body or b"{}"
    place = draw(st.integers(0, len(body) - 1)) if body else 0
    forms = (
        body[:place],
        body[:place] + draw(st.binary(min_size=1, max_size=3)) + body[place + 1 :],
        body + b" " + body,
        b"\xef\xbb\xbf" + body,
        body.decode("utf-8", "replace").encode("utf-16"),
        b"[" * 101 + b"]" * 101,
        b"",
        b"null",
    )
    return call._replace(body=draw(one_of(forms)), content_type=call.content_type or "application/json")


def _multipart(draw: st.DrawFn, call: Call) -> Call:
    content_type, body = draw(forms)
    return call._replace(body=body, content_type=draw(one_of((content_type, content_type, call.content_type))))


def _more_headers(draw: st.DrawFn, call: Call) -> Call:
    return call._replace(headers=(*call.headers, *draw(st.lists(header_lines, min_size=1, max_size=3))))


def _in_parts(draw: st.DrawFn, call: Call) -> Call:
    return call._replace(parts=draw(st.integers(2, 5)), breaks_off=draw(st.booleans()))


CHANGES = (
    *(_other_method, _other_path, _other_names, _other_value, _other_value, _other_body, _other_body),
    *(_multipart, _more_headers, _more_headers, _in_parts),
)
