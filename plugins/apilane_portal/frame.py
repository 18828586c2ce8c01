"""The navigation around a page: the applications, and the entries of the current one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from apilane.plugin.manage import ApplicationCard, ApplicationManagement, Management, Permission

__all__ = ["Frame", "Group", "Link", "frame_of"]


class Link(Struct, frozen=True):
    """One entry."""

    label: str
    path: str
    is_here: bool = False


class Group(Struct, frozen=True):
    """Entries under a heading."""

    label: str
    links: tuple[Link, ...]


class Frame(Struct, frozen=True):
    """The navigation of a page."""

    applications: Sequence[ApplicationCard]
    groups: tuple[Group, ...]


async def frame_of(management: Management, application: ApplicationManagement | None, here: str) -> Frame:
    """The navigation for the caller; ``here``: the key of the current entry."""
    groups = _of_instance(management, here) if application is None else _of_application(management, application, here)
    return Frame(await management.applications(), tuple(group for group in groups if group.links))


def _of_instance(management: Management, here: str) -> list[Group]:
    operator = management.operator
    links = [Link("Applications", "/", here == "home"), Link("Your account", "/account", here == "account")]
    if operator is not None and operator.is_admin:
        links.append(Link("Instance", "/instance", here == "instance"))
        links.append(Link("Audit", "/instance/audit", here == "instance-audit"))
    return [Group("Portal", tuple(links))]


def _of_application(management: Management, application: ApplicationManagement, here: str) -> list[Group]:
    base = f"/apps/{application.token}"
    definition = application.definition
    data = []
    if application.may(Permission.view_data):
        ordered = sorted(definition.entities, key=lambda entity: entity.is_system)
        names = [entity.name for entity in ordered if entity.name != "AuthTokens"]
        data = [Link(name, f"{base}/data/{name}", here == f"data {name}") for name in names]
    design = [("Model", "model"), ("Security", "security"), ("Endpoints", "endpoints")]
    operate = [("Collaborators", "collaborators"), ("Settings", "settings")]
    if application.may(Permission.view_audit):
        operate.insert(1, ("Audit", "audit"))
    more = [
        Link(entry.label, entry.path.replace("{token}", application.token))
        for entry in management.entries
        if "{token}" in entry.path and (entry.needs is None or application.may(entry.needs))
    ]
    return [
        Group("Data", tuple(data)),
        Group("Design", tuple(Link(label, f"{base}/{path}", here == path) for label, path in design)),
        Group("Operate", (*(Link(label, f"{base}/{path}", here == path) for label, path in operate), *more)),
    ]
