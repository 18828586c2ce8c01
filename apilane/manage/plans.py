"""Plans of manifests for callers: what the change does, which permissions it needs, and applying it.

A manifest that arrives over HTTP reads no environment variable of the server. ``variables`` are the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from apilane.errors import ApilaneError, Code, ConfigurationError
from apilane.instance import Instance
from apilane.model.plan import ManifestErrors, Plan
from apilane.model.portal_roles import Permission
from apilane.plugin.manage import PlanLineView, PlanView
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.services.record_survey import Survey

__all__ = ["Planned", "needed", "needs_admin", "plan_manifests", "refuse_misfits"]

Files = Sequence[tuple[str, bytes]]


class Planned(Struct, frozen=True):
    """A plan, what it means for the stored records, and how it is shown."""

    plan: Plan
    survey: Survey
    view: PlanView


async def plan_manifests(instance: Instance, files: Files, variables: Mapping[str, str]) -> list[Planned]:
    """The plans of all manifests. Raises VALIDATION with the mistakes of all files, one a line."""
    try:
        plans = await plan_files(
            files, store=instance.store, capabilities=capabilities_of(instance.hooks), environ=variables
        )
        return [await _planned(instance, plan) for plan in plans]
    except ManifestErrors as found:
        first = found.errors[0]
        text = "\n".join(str(error) for error in found.errors)
        raise ApilaneError(Code.VALIDATION, text, property=first.key) from found
    except ConfigurationError as error:
        raise ApilaneError(Code.ERROR, str(error)) from error


async def _planned(instance: Instance, plan: Plan) -> Planned:
    survey = await instance.changes.survey(plan)
    stored = await instance.store.application(plan.after.token)
    view = PlanView(
        name=plan.after.name,
        token=plan.after.token,
        is_new=plan.before is None,
        version=stored.version if stored else 0,
        lines=tuple(
            PlanLineView(
                kind=line.kind,
                path=line.path,
                detail=line.detail,
                loses_data=line.loses_data,
                records=survey.concerned.get(line.path),
                misfits=sum(misfit.records for misfit in survey.misfits if misfit.path == line.path),
            )
            for line in plan.lines
        ),
        misfits=tuple(map(str, survey.misfits)),
        loses_data=plan.loses_data,
        has_warnings=plan.has_warnings,
        is_empty=plan.is_empty,
    )
    return Planned(plan, survey, view)


def needed(plan: Plan) -> frozenset[Permission]:
    """The permissions that a change of an existing application needs."""
    before, after = plan.before, plan.after
    if before is None:
        return frozenset(Permission)
    found = set()
    if before.rules != after.rules:
        found.add(Permission.manage_access)
    if before.collaborators != after.collaborators:
        found.add(Permission.manage_collaborators)
    rest = replace(after, rules=before.rules, collaborators=before.collaborators)
    if rest != before or plan.secrets:
        found.add(Permission.edit_definition)
    return frozenset(found)


def needs_admin(plan: Plan) -> bool:
    """Whether only an instance admin may apply a plan: it creates an application, or says where its data is."""
    return plan.before is None or "connection_string" in plan.secrets


def refuse_misfits(planned: Planned) -> None:
    """Raise VALIDATION when stored records do not fit the plan."""
    if planned.survey.misfits:
        raise ApilaneError(
            Code.VALIDATION, "Records do not fit; nothing was changed.\n" + "\n".join(planned.view.misfits)
        )
