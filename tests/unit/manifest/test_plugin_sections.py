"""Sections of plugins: checked by their Structs; secrets are kept out of definition, plan and export."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

import msgspec
import pytest
from msgspec import Struct

from apilane.control.secrets import Secrets
from apilane.model.definition import ApplicationDefinition
from apilane.model.enforcement import needs_enforcing
from apilane.model.manifest.write import export_manifest
from apilane.model.plan import Capabilities, Plan
from apilane.model.sections import marks_in, misplaced_secret, read_section
from apilane.plugin.settings import Secret
from tests.unit.manifest.cases import HEAD, errors_of, planned


class Smtp(Struct, rename="pascal"):
    host: str
    port: int = 25
    password: Secret | None = None


class Hook(Struct, rename="pascal"):
    name: str
    key: Secret
    urls: list[str] = []


class MailSection(Struct, rename="pascal"):
    mode: Literal["smtp", "http"] = "smtp"
    sender: str = "default"
    retries: int = 3
    api_key: Secret | None = None
    smtp: Smtp | None = None
    hooks: list[Hook] = []
    headers: dict[str, Secret] = {}


class Nameless(Struct):
    key: Secret | None = None


LOADED = Capabilities(
    providers=frozenset({"SQLite"}),
    embedded=frozenset({"SQLite"}),
    plugin_sections={"mail": MailSection},
)
ENFORCED = msgspec.structs.replace(LOADED, enforces=frozenset({"Plugins.mail"}))
NOT_LOADED = msgspec.structs.replace(LOADED, plugin_sections={})

FULL = """\
Plugins:
  mail:
    Retries: ${RETRIES}
    ApiKey: ${KEY}
    Smtp: {Host: example.com, Password: "${SMTP}"}
    Hooks:
      - {Name: first, Key: "${FIRST}", Urls: [a, b]}
      - {Name: second, Key: "${SECOND}"}
    Headers: {x-token: "${TOKEN}"}
"""
ENVIRON = {"KEY": "k-1", "SMTP": "k-2", "FIRST": "k-3", "SECOND": "k-4", "TOKEN": "k-5", "RETRIES": "7"}
SECRETS = {
    "Plugins.mail.ApiKey": "k-1",
    "Plugins.mail.Smtp.Password": "k-2",
    "Plugins.mail.Hooks[first].Key": "k-3",
    "Plugins.mail.Hooks[second].Key": "k-4",
    "Plugins.mail.Headers.x-token": "k-5",
}


def mail(
    section: str,
    before: ApplicationDefinition | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    capabilities: Capabilities = LOADED,
) -> Plan:
    """The plan of a manifest with these sections."""
    return planned(
        HEAD + section, before, environ=dict(environ or {}), secrets=dict(secrets or {}), capabilities=capabilities
    )


@pytest.fixture(scope="module")
def made() -> Plan:
    """The plan of a new application with every kind of secret."""
    return mail(FULL, environ=ENVIRON)


def test_secrets_leave_the_definition(made: Plan) -> None:
    """The plan's secrets have the texts, the definition has marks, and printed forms show no text."""
    assert made.secrets == SECRETS
    assert set(marks_in(made.after.plugins)) == set(SECRETS)
    assert made.after.plugins["mail"]["Retries"] == 7
    shown = "\n".join(map(str, made.lines)) + msgspec.json.encode(made.after).decode() + repr(made)
    assert "k-" not in shown
    assert "~ Plugins.mail.Smtp.Password: a secret, not shown" in shown


def test_the_section_as_its_struct(made: Plan) -> None:
    """The plugin reads its section with the secrets; without a section it reads the defaults."""
    section = read_section(made.after.plugins["mail"], MailSection, SECRETS)
    assert (section.retries, section.sender) == (7, "default")
    assert section.smtp is not None
    assert section.smtp.password is not None
    assert asyncio.run(section.smtp.password.get()) == "k-2"
    assert [asyncio.run(hook.key.get()) for hook in section.hooks] == ["k-3", "k-4"]
    assert read_section({}, MailSection, {}) == MailSection()


def test_a_secret_is_never_shown() -> None:
    """Neither repr nor str nor an encoder nor pickle shows the text."""
    secret = Secret("open-sesame")
    assert "sesame" not in f"{secret!r} {secret} {MailSection(api_key=secret)}"
    for encode in (msgspec.json.encode, msgspec.to_builtins):
        with pytest.raises(TypeError):
            encode(secret)
        assert "sesame" not in str(encode(secret, enc_hook=str))  # type: ignore[operator]
    with pytest.raises(TypeError, match="not copied"):
        secret.__reduce__()
    assert secret == Secret("open-sesame") != Secret("other")


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_the_export_applies_without_a_change(made: Plan, format: str) -> None:
    """Secrets are exported as references; when their variables are missing the stored secrets are kept."""
    text = export_manifest(made.after, format, secrets=SECRETS)  # type: ignore[arg-type]
    assert "k-" not in text
    for name in ("APIKEY", "SMTP_PASSWORD", "HOOKS_FIRST_KEY", "HOOKS_SECOND_KEY", "HEADERS_X_TOKEN"):
        assert f"${{SHOP_MAIL_{name}}}" in text
    for capabilities in (LOADED, NOT_LOADED):
        again = planned(text, made.after, filename=f"a.{format}", secrets=SECRETS, capabilities=capabilities)
        assert again.is_empty
    renewed = {"SHOP_MAIL_APIKEY": "k-9"}
    changed = planned(text, made.after, filename=f"a.{format}", secrets=SECRETS, capabilities=LOADED, environ=renewed)
    assert changed.secrets == {"Plugins.mail.ApiKey": "k-9"}
    assert changed.after == made.after


def test_references_of_two_secrets_differ() -> None:
    """When two key paths, or one and the core, would have the same variable, a number is added."""

    class Passwords(Struct, rename="pascal"):
        password: Secret | None = None
        headers: dict[str, Secret] = {}

    capabilities = msgspec.structs.replace(LOADED, plugin_sections={"mail": Passwords})
    plan = mail("Plugins: {mail: {Password: a, Headers: {x-y: b, x_y: c}}}\n", capabilities=capabilities)
    text = export_manifest(plan.after)
    for variable in ("SHOP_MAIL_PASSWORD_2", "SHOP_MAIL_HEADERS_X_Y", "SHOP_MAIL_HEADERS_X_Y_2"):
        assert f"${{{variable}}}" in text


def test_items_may_change_their_places(made: Plan) -> None:
    """A secret in a list belongs to the Name of its item, and is removed with the item."""
    turned = "Plugins: {mail: {Hooks: [{Name: second, Key: '${NO}'}, {Name: first, Key: '${NO}'}]}}\n"
    plan = mail(turned, made.after, secrets=SECRETS)
    assert plan.secrets == {}
    section = read_section(plan.after.plugins["mail"], MailSection, SECRETS)
    assert [(hook.name, asyncio.run(hook.key.get())) for hook in section.hooks] == [("second", "k-4"), ("first", "k-3")]
    one = mail("Plugins: {mail: {Hooks: [{Name: second, Key: '${NO}'}]}}\n", made.after, secrets=SECRETS)
    assert one.secrets == {"Plugins.mail.Hooks[first].Key": None}


def test_what_goes_takes_its_secrets_along(made: Plan) -> None:
    """Removing a key or section removes its secrets; omitting it keeps them."""
    assert mail("Plugins: {mail: {ApiKey: null}}\n", made.after, secrets=SECRETS).secrets == {
        "Plugins.mail.ApiKey": None
    }
    gone = mail("Plugins: {}\n", made.after, secrets=SECRETS)
    assert gone.secrets == dict.fromkeys(SECRETS)
    assert "- Plugins.mail.ApiKey: a secret, not shown" in map(str, gone.lines)
    assert mail("", made.after, secrets=SECRETS).is_empty
    assert mail("Plugins: {mail: {}}\n", made.after, secrets=SECRETS).is_empty


def test_a_literal_gets_a_warning() -> None:
    """A secret in clear is accepted and stored as a secret, and the plan warns how to write it."""
    plan = mail("Plugins: {mail: {ApiKey: open-sesame}}\n")
    assert plan.secrets == {"Plugins.mail.ApiKey": "open-sesame"}
    [warning] = [line for line in plan.lines if line.kind == "warning"]
    assert str(warning).startswith("! Plugins.mail.ApiKey: this secret is plain text in the manifest; write ${NAME}")
    assert "sesame" not in "".join(map(str, plan.lines))
    assert not [line for line in mail(FULL, environ=ENVIRON).lines if line.kind == "warning"]


MISTAKES = {
    "unknown key": ("{ApiKy: x}", "Plugins.mail.ApiKy", "unknown key ApiKy", "did you mean ApiKey?"),
    "unknown key below": ("{Smtp: {Hst: x, Host: y}}", "Plugins.mail.Smtp.Hst", "unknown key Hst", "Host?"),
    "type": ("{Retries: many}", "Plugins.mail.Retries", "Expected `int`, got `str`", "plugin mail"),
    "type below": ("{Smtp: {Host: x, Port: y}}", "Plugins.mail.Smtp.Port", "Expected `int`", ""),
    "missing key": ("{Smtp: {Port: 1}}", "Plugins.mail.Smtp", "missing required field `Host`", ""),
    "number for a secret": ("{ApiKey: 4711}", "Plugins.mail.ApiKey", "a secret is text", "write ${NAME}"),
    "mark for a secret": (
        "{ApiKey: {$secret: Plugins.other.Key}}",
        "Plugins.mail.ApiKey",
        "a secret is text",
        "",
    ),
    "mark elsewhere": ("{Smtp: {Host: {$secret: x}}}", "Plugins.mail.Smtp.Host", "$secret cannot be a key", ""),
    "item without a name": ("{Hooks: [{Key: x}]}", "Plugins.mail.Hooks[0]", "an item with a secret needs a Name", ""),
    "items of one name": (
        "{Hooks: [{Name: a, Key: x}, {Name: a, Key: y}]}",
        "Plugins.mail.Hooks[a].Key",
        "two items have the same Name",
        "",
    ),
    "variable of a secret": ("{ApiKey: '${NOT_SET}'}", "Plugins.mail.ApiKey", "NOT_SET is not set", ""),
    "variable of another value": ("{Sender: '${NOT_SET}'}", "Plugins.mail.Sender", "NOT_SET is not set", ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_section_that_does_not_fit(name: str) -> None:
    """A mistake is reported with line, key path and advice, and never shows a secret."""
    section, key, message, hint = MISTAKES[name]
    [error] = errors_of(f"{HEAD}Plugins:\n  mail: {section}\n", capabilities=LOADED)
    assert (error.line, error.key) == (4, key)
    assert message in error.message
    assert hint in error.hint
    assert "4711" not in str(error)


NOT_SHOWN = {
    "text for the section": ("mail: open-sesame", "mail", "expected a mapping, found another value"),
    "number for the section": ("mail: 4711", "mail", "expected a mapping, found another value"),
    "section of an unknown plugin": ("mial: open-sesame", "mial", "expected a mapping, found another value"),
    "text for a part": ("mail: {Smtp: open-sesame}", "mail.Smtp", "Expected `object | null`, got `str`"),
    "no choice": ("mail: {Mode: open-sesame}", "mail.Mode", "Invalid enum value"),
}


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_a_value_that_may_be_a_secret_is_not_shown(name: str) -> None:
    """A mistake in the section of a plugin is reported without the value, which may be a secret in the wrong place."""
    section, key, message = NOT_SHOWN[name]
    [error] = errors_of(f"{HEAD}Plugins:\n  {section}\n", capabilities=LOADED)
    assert (error.line, error.key, error.message) == (4, f"Plugins.{key}", message)
    assert "sesame" not in str(error)
    assert "4711" not in str(error)


def test_a_text_for_all_sections_is_not_shown() -> None:
    """A text in the place of all sections is refused and not shown."""
    [error] = errors_of(f"{HEAD}Plugins: open-sesame\n", capabilities=LOADED)
    assert error.message == "expected a mapping of plugin names to their sections, found another value"


def test_the_values_of_a_section_without_secrets_are_shown() -> None:
    """The message about a section whose Struct holds no secret shows the value, which helps to find the mistake."""

    class Open(Struct):
        mode: Literal["smtp", "http"] = "smtp"

    capabilities = msgspec.structs.replace(LOADED, plugin_sections={"mail": Open})
    [error] = errors_of(f"{HEAD}Plugins: {{mail: {{mode: htp}}}}\n", capabilities=capabilities)
    assert error.message == "Invalid enum value 'htp'"


def test_a_plugin_that_is_not_loaded(made: Plan) -> None:
    """The section of a missing plugin may stay unchanged, also with its variables set; changes are refused."""
    for environ in ({"RETRIES": "7"}, ENVIRON):
        text = FULL.replace("${RETRIES}", "7")
        assert mail(text, made.after, environ=environ, secrets=SECRETS, capabilities=NOT_LOADED).is_empty
    for text, environ in ((FULL, {**ENVIRON, "KEY": "k-9"}), ("Plugins: {mail: {Sender: x}}\n", {})):
        manifest = HEAD + text.replace("${RETRIES}", "7")
        found = errors_of(manifest, made.after, environ=environ, secrets=SECRETS, capabilities=NOT_LOADED)
        assert ["not loaded" in error.message for error in found] == [True]


@pytest.mark.better("B-S13")
def test_a_section_that_must_be_enforced() -> None:
    """The definition has the demand, the plan shows it, and without the plugin every manifest is refused (B-S13)."""
    text = "Plugins: {mail: {Sender: x}}\n"
    plan = mail(text, capabilities=ENFORCED)
    assert plan.after.enforced == ("Plugins.mail",)
    assert needs_enforcing(plan.after) == {"Plugins.mail"}
    assert "~ Plugins.mail: closed where its plugin is not loaded" in map(str, plan.lines)
    for again in (text, ""):
        [error] = errors_of(HEAD + again, plan.after, capabilities=NOT_LOADED)
        assert "nothing enforces Plugins.mail: the plugin mail is not loaded" in error.message
    assert mail("Plugins: {}\n", plan.after, capabilities=NOT_LOADED).after.enforced == ()
    assert mail(text, plan.after, capabilities=LOADED).after.enforced == ()


def test_changed_secrets() -> None:
    """A plan's secrets are stored in the core's fields and, by key path, for plugins."""
    before = Secrets(encryption_key=b"", token_key=b"", plugins={"Plugins.a.K": "1", "Plugins.b.K": "2"})
    after = before.changed({"mail_password": "3", "Plugins.a.K": None, "Plugins.c.K": "4"})
    assert (after.mail_password, after.plugins) == ("3", {"Plugins.b.K": "2", "Plugins.c.K": "4"})


def test_places_where_a_secret_cannot_stand() -> None:
    """A secret in a list without names, a tuple or a union is refused with its place, as it could be confused."""

    class A(Struct):
        keys: list[Secret] = []

    class B(Struct):
        inner: dict[str, list[Nameless]] = {}

    class C(Struct):
        pair: tuple[Secret, int] | None = None

    assert [misplaced_secret(kind) for kind in (A, B, C, MailSection)] == ["keys", "inner.KEY", "pair", None]
