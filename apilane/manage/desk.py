"""Everything that a caller may do: the implementation of ``apilane.plugin.manage.Management``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from apilane.instance import Instance
from apilane.manage.administration import AdministrationDesk
from apilane.manage.applications import ApplicationDesk, carry_out, open_application
from apilane.manage.callers import Caller
from apilane.manage.lockout import Lockout
from apilane.manage.plans import Planned, plan_manifests
from apilane.manage.records import on_record
from apilane.model.portal_roles import Permission, role_in
from apilane.plugin.manage import ApplicationCard, MenuEntry, PlanView
from apilane.runtime.operators import permissions_in

__all__ = ["Desk", "Manifests"]


class Manifests(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Manifests to plan or apply. ``variables``: values for their ``${NAME}`` references."""

    files: tuple[ManifestFile, ...]
    variables: dict[str, str] = {}
    versions: dict[str, int] = {}
    """The versions that the caller has seen, by token; a new application needs none."""
    accepts_loss: bool = False


class ManifestFile(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One file: its name for messages, and its text (YAML, JSON or TOML by the end of the name)."""

    name: str
    content: str


class Desk(AdministrationDesk):
    """The instance for one caller. One object serves one request."""

    def __init__(
        self, instance: Instance, lockout: Lockout, caller: Caller | None, entries: Sequence[MenuEntry] = ()
    ) -> None:
        super().__init__(instance, lockout, caller)
        self.entries = entries

    async def applications(self) -> Sequence[ApplicationCard]:
        user = self.caller().user
        cards = []
        for name in await self._store.applications():
            stored = await self._store.application(name.token)
            held = permissions_in(stored.definition, user) if stored else frozenset()
            if stored is None or not held:
                continue
            definition = stored.definition
            cards.append(
                ApplicationCard(
                    token=definition.token,
                    name=definition.name,
                    version=stored.version,
                    online=definition.online,
                    storage_provider=definition.storage_provider,
                    differentiation_entity=definition.differentiation_entity,
                    entities=sum(not each.is_system for each in definition.entities),
                    endpoints=len(definition.custom_endpoints),
                    collaborators=len(definition.collaborators),
                    role=None if user.is_admin else role_in(definition.collaborators, user.email),
                    permissions=tuple(sorted(held)),
                )
            )
        return cards

    async def application(self, token: str, permission: Permission = Permission.view_definition) -> ApplicationDesk:
        return await open_application(self._instance, self, token, permission)

    def providers(self) -> Sequence[str]:
        drivers = self._instance.drivers.values()
        return [each.name for each in sorted(drivers, key=lambda each: (not each.features.embedded, each.name))]

    async def create(self, document: Mapping[str, Any]) -> str:
        text = msgspec.json.encode(document).decode()
        made = await self.apply_manifests(Manifests(files=(ManifestFile(name="manifest", content=text),)))
        return made[0].token

    async def plan_manifests(self, manifests: Manifests) -> list[PlanView]:
        """The plans of manifests, of new and of existing applications."""
        return [each.view for each in await self._planned(manifests)]

    async def apply_manifests(self, manifests: Manifests) -> list[PlanView]:
        """Apply manifests, one after another; all are checked before the first change."""
        names = ", ".join(each.name for each in manifests.files)
        async with on_record(self._store, self.caller().user.email, f"apply the manifests {names[:200]}"):
            planned = await self._planned(manifests)
            for each in planned:
                version = 0 if each.plan.before is None else manifests.versions.get(each.view.token, -1)
                await carry_out(self._instance, self, each, version=version, accepts_loss=manifests.accepts_loss)
            return [each.view for each in planned]

    async def _planned(self, manifests: Manifests) -> list[Planned]:
        user = self.caller().user
        files = [(each.name, each.content.encode()) for each in manifests.files]
        planned = await plan_manifests(self._instance, files, manifests.variables)
        for each in planned:
            if each.plan.before is None:
                self.admin()
            elif not permissions_in(each.plan.before, user):
                await open_application(self._instance, self, each.view.token, Permission.view_definition)
        return planned
