"""One application, for a caller: definition, plans, records, rights, audit, deletion."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from apilane.control.records import StoredApplication
from apilane.errors import ApilaneError, Code, ConfigurationError
from apilane.instance import Instance
from apilane.manage.administration import AdministrationDesk
from apilane.manage.plans import Planned, needed, needs_admin, plan_manifests, refuse_misfits
from apilane.manage.records import AUDIT_PAGE_MAX, audit_entry, on_record
from apilane.manage.see_as import actor_of, rights_of
from apilane.model.definition import Endpoint
from apilane.model.manifest.write import export_manifest
from apilane.model.portal_roles import Permission
from apilane.plugin.data import Records
from apilane.plugin.endpoints import JsonResult, ResultSets
from apilane.plugin.identity import Actor
from apilane.plugin.manage import AuditEntry, EntityRights, PlanView, Subject
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.operators import permissions_in
from apilane.security.tokens import canonical_guid
from apilane.services import history_reads
from apilane.services.application_deletion import delete_application
from apilane.services.export import exported
from apilane.services.manifest_plans import stored_secrets
from apilane.services.record_reads import PageQuery
from apilane.services.storage_use import count_data

__all__ = ["ApplicationDesk", "carry_out", "open_application"]

HISTORY_SHOWN = 100


class ApplicationDesk:
    """See ``apilane.plugin.manage.ApplicationManagement``."""

    def __init__(self, instance: Instance, desk: AdministrationDesk, stored: StoredApplication) -> None:
        self._instance = instance
        self._desk = desk
        self._stored = stored
        self.token = stored.definition.token
        self.definition = stored.definition
        self.version = stored.version
        self.permissions = permissions_in(stored.definition, desk.caller().user)

    @property
    def _email(self) -> str:
        return self._desk.caller().user.email

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def demand(self, permission: Permission) -> None:
        """Raise UNAUTHORIZED, with HTTP status 403, without the permission."""
        if permission not in self.permissions:
            text = f"Unauthorized: your role in {self.definition.name} has no permission {permission}"
            raise ApilaneError(Code.UNAUTHORIZED, text, status=403)

    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.manifest_text("json"))
        return document

    def manifest_text(self, format: Literal["yaml", "json"] = "yaml") -> str:
        self.demand(Permission.view_definition)
        return export_manifest(self.definition, format, secrets=stored_secrets(self._stored))

    async def plan(self, document: Mapping[str, Any]) -> PlanView:
        return (await self.planned(msgspec.json.encode(document))).view

    async def apply(self, document: Mapping[str, Any], *, version: int, accepts_loss: bool = False) -> PlanView:
        return await self.apply_text(msgspec.json.encode(document), version=version, accepts_loss=accepts_loss)

    async def planned(self, manifest: bytes, variables: Mapping[str, str] | None = None) -> Planned:
        """The plan of a manifest of this application. Raises VALIDATION, also for one of another application."""
        self.demand(Permission.view_definition)
        planned = await plan_manifests(self._instance, [("manifest", manifest)], variables or {})
        if len(planned) != 1 or planned[0].plan.after.token != self.token:
            text = f"The manifest must describe one application, the one with Token {self.token}."
            raise ApilaneError(Code.VALIDATION, text, property="Application.Token")
        return planned[0]

    async def apply_text(
        self,
        manifest: bytes,
        *,
        version: int,
        accepts_loss: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> PlanView:
        """As ``apply``, with a manifest as text."""
        what = f"apply a manifest to version {version}"
        async with on_record(self._instance.store, self._email, what, token=self.token, version=self.version):
            planned = await self.planned(manifest, variables)
            await carry_out(self._instance, self._desk, planned, version=version, accepts_loss=accepts_loss)
            return planned.view

    async def _runtime(self) -> ApplicationRuntime:
        await self._instance.applications.refresh()
        found = await self._instance.applications.find(self.token)
        if found is None:
            raise _unknown()
        return found

    async def records(self, *, edit: bool = False) -> Records:
        self.demand(Permission.edit_data if edit else Permission.view_data)
        data = (await self._runtime()).data
        return data.as_actor(Actor(kind="operator", credential=self._email))

    async def count(self, entity: str) -> int:
        self.demand(Permission.view_data)
        return await count_data((await self._runtime()).entity(entity))

    async def history(self, entity: str, record: int) -> Sequence[Mapping[str, Any]]:
        self.demand(Permission.view_data)
        page = PageQuery(page_size=HISTORY_SHOWN)
        found = await history_reads.entity_history(await self._runtime(), entity, record, page)
        return [{**item, "Data": json.loads(item["Data"])} for item in found.items]

    async def export(self) -> AsyncIterator[bytes]:
        self.demand(Permission.view_data)
        async with on_record(self._instance.store, self._email, "export", token=self.token, version=self.version):
            return exported(await self._runtime())

    async def try_endpoint(
        self, name: str, query: str, kind: str, parameters: Mapping[str, str], values: Mapping[str, str]
    ) -> ResultSets | JsonResult:
        self.demand(Permission.edit_definition)
        runtime = await self._runtime()
        found = runtime.endpoint_kinds.get(kind.lower())
        if found is None:
            raise ApilaneError(Code.NOT_FOUND, f"No loaded plugin provides the kind {kind}.", property="Kind")
        endpoint = Endpoint(name=name or "Test", query=query, kind=kind, parameters=dict(parameters))
        problems = found.check(endpoint, runtime.definition, runtime.dialect)
        if problems:
            raise ApilaneError(Code.VALIDATION, "\n".join(problems), property="Query")
        owner = values.get("Owner", "").strip()
        user_id = int(owner) if owner.isascii() and owner.isdecimal() and len(owner) <= 18 else None
        actor = Actor(kind="operator", credential=self._email, user_id=user_id)
        return await found.compile(endpoint, runtime).run(values, actor, keep=False)

    async def rights(self, subject: Subject) -> Sequence[EntityRights]:
        self.demand(Permission.view_definition)
        runtime = await self._runtime()
        if subject.user_id is not None:
            self.demand(Permission.view_data)
        return rights_of(runtime, await actor_of(runtime, subject))

    async def records_of(self, subject: Subject) -> Records:
        self.demand(Permission.view_data)
        runtime = await self._runtime()
        return runtime.data.as_actor(await actor_of(runtime, subject))

    async def audit(self, before: int | None = None, limit: int = 50) -> Sequence[AuditEntry]:
        self.demand(Permission.view_audit)
        limit = max(1, min(limit, AUDIT_PAGE_MAX))
        return [
            audit_entry(each) for each in await self._instance.store.audit_page(self.token, before=before, limit=limit)
        ]

    async def delete(self, name: str, password: str | None = None) -> None:
        self.demand(Permission.delete_application)
        instance = self._instance
        what = f"delete the application {self.definition.name}"
        async with on_record(instance.store, self._email, what, token=self.token, version=self.version):
            if name != self.definition.name:
                text = f"Type the name of the application, {self.definition.name}, to delete it with its data."
                raise ApilaneError(Code.VALIDATION, text, property="Name")
            if self._desk.caller().in_session:
                await self._desk.confirmed(password or "")
            try:
                await delete_application(
                    self.token,
                    actor=self._email,
                    store=instance.store,
                    drivers=instance.drivers,
                    tables=instance.helper_tables,
                    data_dir=instance.settings.data_dir,
                )
            except ConfigurationError as error:
                raise ApilaneError(Code.ERROR, str(error)) from error
            await instance.applications.refresh()


async def open_application(
    instance: Instance, desk: AdministrationDesk, token: str, permission: Permission
) -> ApplicationDesk:
    """The application for the caller. NOT_FOUND where it does not exist and where the caller has no role, alike."""
    canonical = canonical_guid(token)
    stored = await instance.store.application(canonical) if canonical else None
    desk.caller()
    if stored is None:
        raise _unknown()
    application = ApplicationDesk(instance, desk, stored)
    if not application.permissions:
        raise _unknown()
    application.demand(permission)
    return application


async def carry_out(
    instance: Instance, desk: AdministrationDesk, planned: Planned, *, version: int, accepts_loss: bool
) -> None:
    """Apply a plan. Raises ERROR with HTTP status 412 when the application has another version, 403 without the
    permission, and 409 when the loss of data is not accepted.
    """
    plan, user = planned.plan, desk.caller().user
    if planned.view.version != version:
        text = (
            f"The application has version {planned.view.version} now, not {version}. Look at the changes and try again."
        )
        raise ApilaneError(Code.ERROR, text, status=412)
    if needs_admin(plan) and (not user.is_admin or user.is_limited):
        raise ApilaneError(Code.UNAUTHORIZED, "Unauthorized: only an instance admin may do this", status=403)
    if plan.before is not None:
        missing = (needed(plan) or {Permission.edit_definition}) - permissions_in(plan.before, user)
        if missing:
            text = f"Unauthorized: this change needs the permission {', '.join(sorted(missing))}"
            raise ApilaneError(Code.UNAUTHORIZED, text, status=403)
    refuse_misfits(planned)
    if plan.loses_data and not accepts_loss:
        text = "This change loses data. Confirm the loss to apply it; nothing was changed."
        raise ApilaneError(Code.ERROR, text, status=409)
    try:
        await instance.changes.apply(plan, actor=user.email)
    except ConfigurationError as error:
        raise ApilaneError(Code.ERROR, str(error)) from error
    await instance.applications.refresh()


def _unknown() -> ApilaneError:
    return ApilaneError(Code.NOT_FOUND, "There is no such application, or you have no role in it.", status=404)
