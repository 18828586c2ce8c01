"""Every hook: its signature, when it is called, how results combine, and the effect of a failure.

``apilane_register_*`` hooks run once, at start-up, as plain functions, and return typed objects that the core keeps and
calls later; requests never call pluggy. A hook that fails stops start-up with a message that names its plugin. The
table in ``docs/reference/hooks.md`` is generated from this file.

``options`` is the ``PluginSettings.instance`` of the plugin, read from ``apilane.toml`` and the environment; None for a
plugin without one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

import pluggy
from msgspec import Struct

if TYPE_CHECKING:
    import click

    from apilane.plugin.calls import WireCall
    from apilane.plugin.counters import Counters
    from apilane.plugin.endpoints import EndpointKind
    from apilane.plugin.files import FileStore
    from apilane.plugin.functions import EndpointFunction
    from apilane.plugin.gates import AvailabilityCheck, Limiter, Throttle
    from apilane.plugin.identity import Authenticator
    from apilane.plugin.jobs import Job
    from apilane.plugin.mail import Mailer
    from apilane.plugin.manage import PortalPage
    from apilane.plugin.observers import Observer
    from apilane.plugin.outbox import OutboxHandler
    from apilane.plugin.pages import Page
    from apilane.plugin.records import RecordHandler
    from apilane.plugin.settings import PluginSettings
    from apilane.plugin.sign_in import SignInStep
    from apilane.plugin.tables import HelperTable
    from apilane.settings import Settings
    from apilane.storage.protocol import Driver

__all__ = [
    "Combine",
    "HookPolicy",
    "OnError",
    "apilane_register_authenticators",
    "apilane_register_availability_checks",
    "apilane_register_calls",
    "apilane_register_commands",
    "apilane_register_counters",
    "apilane_register_drivers",
    "apilane_register_endpoint_kinds",
    "apilane_register_file_stores",
    "apilane_register_functions",
    "apilane_register_jobs",
    "apilane_register_limiters",
    "apilane_register_mailers",
    "apilane_register_observers",
    "apilane_register_outbox_handlers",
    "apilane_register_portal_pages",
    "apilane_register_record_handlers",
    "apilane_register_routes",
    "apilane_register_settings",
    "apilane_register_sign_in_steps",
    "apilane_register_tables",
    "apilane_register_throttles",
    "hookimpl",
    "hookspec",
]

PROJECT = "apilane"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as an implementation of the hook with the same name."""

_pluggy_spec = pluggy.HookspecMarker(PROJECT)
F = TypeVar("F", bound=Callable[..., object])

Combine = Literal["named", "first", "any", "single", "all"]
"""How the objects of all plugins work together, in plugin order.

``named``: each object is found by its name; a repeated name stops start-up. ``first``: the objects are called in
order until one answers. ``any``: the objects are called in order until one refuses. ``single``: only the first object
is used. ``all``: every object is called, in order.
"""

OnError = Literal["deny", "fail", "close", "retry", "log"]
"""The effect of a later failure of an object.

``deny``: the request is refused. ``fail``: the call, page or command that used the object ends with an error.
``close``: the application answers SERVICE_UNAVAILABLE until the object succeeds. ``retry``: the message is tried again
later. ``log``: the failure is logged, and the object is used again the next time.
"""


class HookPolicy(Struct, frozen=True):
    """How objects combine, and the effect of a failure; ``added`` is the first release with the hook."""

    combine: Combine
    on_error: OnError
    added: str


def hookspec(*, combine: Combine, on_error: OnError, added: str) -> Callable[[F], F]:
    """Declare a hook with its policy."""

    def mark(function: F) -> F:
        function.apilane_policy = HookPolicy(combine, on_error, added)  # type: ignore[attr-defined]
        return _pluggy_spec(function)

    return mark


@hookspec(combine="named", on_error="close", added="0.1")
def apilane_register_settings() -> Sequence[PluginSettings]:
    """The Structs of a plugin's settings, at most one object.

    Called before every other hook, which then receives the settings of the instance as ``options``. Invalid settings of
    the instance stop start-up. Settings of an application are checked when its manifest is applied.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_drivers(settings: Settings, options: Struct | None) -> Sequence[Driver]:
    """Storage drivers, found by their ``StorageProvider`` names.

    Called before any database is opened.
    """
    raise NotImplementedError


@hookspec(combine="single", on_error="deny", added="0.1")
def apilane_register_counters(settings: Settings, options: Struct | None) -> Sequence[Counters]:
    """A store for the counts of rate limits, throttles and used signatures, shared by all workers.

    Hooks with the argument ``counters`` receive it. If there is no store, a plugin that needs one stops start-up.
    """
    raise NotImplementedError


@hookspec(combine="first", on_error="deny", added="0.1")
def apilane_register_authenticators(
    settings: Settings, counters: Counters, options: Struct | None
) -> Sequence[Authenticator]:
    """Objects that identify the caller of a request from its headers, raw target and body.

    The first object that returns an actor, or refuses, decides. If none does, the caller is anonymous.

    ``application.tokens.find_user`` finds an existing user by ID, e-mail or name; ``request.client_address`` is the
    address of the client; ``application.options`` and the argument ``options`` are the plugin's settings.
    """
    raise NotImplementedError


@hookspec(combine="any", on_error="deny", added="0.1")
def apilane_register_availability_checks(settings: Settings, options: Struct | None) -> Sequence[AvailabilityCheck]:
    """Objects that decide whether a request may reach an application, before the caller is identified.

    They run after the check that the application is online. They receive the request with its client address, and the
    application.
    """
    raise NotImplementedError


@hookspec(combine="any", on_error="deny", added="0.1")
def apilane_register_limiters(settings: Settings, counters: Counters, options: Struct | None) -> Sequence[Limiter]:
    """Objects that count the uses of an action against the rate limit of the caller's effective rules.

    They are called in order after access was granted, until one refuses.
    """
    raise NotImplementedError


@hookspec(combine="any", on_error="deny", added="0.1")
def apilane_register_throttles(settings: Settings, counters: Counters, options: Struct | None) -> Sequence[Throttle]:
    """Objects that slow down repeated failed sign-ins and registrations.

    They are called in order before a password is checked, until one refuses.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_functions(settings: Settings, options: Struct | None) -> Sequence[EndpointFunction]:
    """Functions in Python that custom endpoints of the kind ``python`` run, found by their names.

    The hook ``apilane_register_endpoint_kinds`` receives them all as ``functions``.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_endpoint_kinds(
    settings: Settings, functions: Sequence[EndpointFunction], options: Struct | None
) -> Sequence[EndpointKind]:
    """Kinds of custom endpoints, found by their ``Kind`` names.

    A kind checks its endpoints when a definition is applied, and runs them when they are called. Endpoints without a
    loaded kind are kept, and their calls answer 404.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_file_stores(settings: Settings, options: Struct | None) -> Sequence[FileStore]:
    """Stores for the contents of uploaded files, found by their names.

    The setting ``store`` of the plugin ``files`` chooses one for the server, the section ``Plugins.files`` of a
    manifest one for its application.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="retry", added="0.1")
def apilane_register_mailers(settings: Settings, options: Struct | None) -> Sequence[Mailer]:
    """Objects that send mails, found by their names.

    The setting ``mailer`` of the plugin ``email`` chooses one for the server, the section ``Plugins.email`` of a
    manifest one for its application. The outbox calls it, so a failure is tried again.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_calls(
    settings: Settings, options: Struct | None, file_stores: Mapping[str, FileStore], mailers: Mapping[str, Mailer]
) -> Sequence[WireCall]:
    """Calls of the wire: path, method, requirements for the caller, and the action.

    They pass the same admission as the core's calls. Two calls with the same path and method stop start-up.
    ``file_stores`` and ``mailers``: every file store and mailer by its name in lower case.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_routes(
    settings: Settings, options: Struct | None, mailers: Mapping[str, Mailer], observers: Sequence[Observer]
) -> Sequence[Page]:
    """Pages outside of ``/api/``: Litestar handlers, each with its requirements for the caller.

    ``observers``: every observer, so that a page finds that of its plugin.
    """
    raise NotImplementedError


@hookspec(combine="all", on_error="fail", added="0.1")
def apilane_register_portal_pages(settings: Settings, options: Struct | None) -> Sequence[PortalPage]:
    """Pages that listen with the Portal: Litestar handlers, and their entries of the navigation.

    Called in the process of the Portal only. The parameter ``management: ManagementPage`` of a handler acts for the
    signed-in portal user, with the checks of the management API.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="fail", added="0.1")
def apilane_register_commands(settings: Settings, options: Struct | None) -> Sequence[click.Command]:
    """Commands of the command line, found by their names.

    Called when the command line gets a command that the core does not have, or lists all commands. The options of the
    command are not read yet: ``settings`` and ``options`` are those of the environment and ``apilane.toml``.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="close", added="0.1")
def apilane_register_tables(settings: Settings, options: Struct | None) -> Sequence[HelperTable]:
    """Helper tables that the core keeps in the database of each application.

    They are created, and migrated to a new version, when an application is opened, under its change lock.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="retry", added="0.1")
def apilane_register_outbox_handlers(
    settings: Settings, options: Struct | None, mailers: Mapping[str, Mailer]
) -> Sequence[OutboxHandler]:
    """Handlers that deliver the messages of an application's outbox, found by the kind of the message.

    A message is stored in the unit of the change that causes it (``application.outbox``), and is delivered at least
    once: at once after the commit by the process that stored it, later by the leader of the cluster. If there is at
    least one handler, every application gets the table ``H_Outbox`` when it opens.
    """
    raise NotImplementedError


@hookspec(combine="named", on_error="log", added="0.1")
def apilane_register_jobs(
    settings: Settings, file_stores: Mapping[str, FileStore], options: Struct | None
) -> Sequence[Job]:
    """Functions that run at an interval, in one process of the cluster at a time.

    The processes of ``apilane serve``, on all machines with the same control store, choose a leader by a lock of the
    control store. When the leader ends, another process takes over.
    """
    raise NotImplementedError


@hookspec(combine="all", on_error="fail", added="0.1")
def apilane_register_record_handlers(settings: Settings, options: Struct | None) -> Sequence[RecordHandler]:
    """Functions that run before and after changes of records.

    They run for the Data calls, for each operation of a transaction, and when an account is registered or changed. A
    failure of ``before`` refuses the change, and a failure of ``after`` is logged.
    """
    raise NotImplementedError


@hookspec(combine="all", on_error="deny", added="0.1")
def apilane_register_sign_in_steps(
    settings: Settings, counters: Counters, options: Struct | None
) -> Sequence[SignInStep]:
    """Steps that a user takes after the right password, before a token is issued.

    Each step decides whether it applies to the user. The steps are asked in order, one after another. Steps need
    counters, which limit guesses and make challenges usable once; without a store of counters, start-up stops.
    """
    raise NotImplementedError


@hookspec(combine="all", on_error="log", added="0.1")
def apilane_register_observers(settings: Settings, options: Struct | None) -> Sequence[Observer]:
    """Functions that see processes, requests, statements and deliveries, for metrics and traces.

    They change nothing except headers that they add to answers. Without an observer a request costs nothing more.
    """
    raise NotImplementedError
