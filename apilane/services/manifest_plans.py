"""Makes plans from manifests and the applications of an instance. All files are checked before anything is changed.

``apilane.services.definition_changes`` applies a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apilane.control.store import ControlStore, StoredApplication
from apilane.model.plan import Capabilities, Manifest, ManifestError, ManifestErrors, Plan, plan, read_manifests

__all__ = ["plan_files", "stored_secrets"]


async def plan_files(
    files: Sequence[tuple[str, bytes]],
    *,
    store: ControlStore | None,
    capabilities: Capabilities,
    environ: Mapping[str, str] | None = None,
) -> list[Plan]:
    """The plans of all documents of ``files`` (name and content), in order.

    Raises ManifestErrors with the errors of all files. ``store``: None means an instance that is not created yet.
    ``environ``: None means the environment of the process.
    """
    errors: list[ManifestError] = []
    manifests: list[Manifest] = []
    for name, content in files:
        try:
            manifests += read_manifests(content, filename=name, environ=environ)
        except ManifestErrors as found:
            errors += found.errors
    plans: list[Plan] = []
    seen: dict[str, Manifest] = {}
    for manifest in manifests:
        try:
            stored = await _existing(manifest, store) if store is not None else None
            made = plan(
                manifest,
                stored.definition if stored else None,
                capabilities=capabilities,
                secrets=stored_secrets(stored),
            )
            _once(manifest, made, seen)
            plans.append(made)
        except ManifestErrors as found:
            errors += found.errors
    if errors:
        raise ManifestErrors(errors)
    return plans


def stored_secrets(stored: StoredApplication | None) -> dict[str, str]:
    """The stored secrets that a manifest can set, under the names that ``apilane.model.plan.plan`` takes."""
    if stored is None:
        return {}
    values = {name: getattr(stored.secrets, name) for name in ("connection_string", "mail_password")}
    return {**{name: value for name, value in values.items() if value is not None}, **stored.secrets.plugins}


async def _existing(manifest: Manifest, store: ControlStore) -> StoredApplication | None:
    """The stored application of a manifest; None when it is new."""
    if manifest.token is not None:
        return await store.application(manifest.token)
    if manifest.name is None:
        return None  # reported by ``plan``
    found = [each for each in await store.find(manifest.name) if each.definition.name == manifest.name]
    if len(found) > 1:
        tokens = ", ".join(each.definition.token for each in found)
        message = f"there are {len(found)} applications named {manifest.name}"
        raise ManifestErrors([*manifest.problems, _error(manifest, message, f"add the Token of one of them: {tokens}")])
    return found[0] if found else None


def _once(manifest: Manifest, made: Plan, seen: dict[str, Manifest]) -> None:
    """Refuse two manifests for one application in one call."""
    key = made.after.token if made.before is not None or manifest.token else made.after.name
    first = seen.setdefault(key, manifest)
    if first is not manifest:
        message = f"{made.after.name} is described by another manifest too, in {first.file}"
        raise ManifestErrors([_error(manifest, message, "keep one of them")])


def _error(manifest: Manifest, message: str, hint: str) -> ManifestError:
    application = manifest.document.get("Application")
    line = application.line if application is not None else None
    return ManifestError(file=manifest.file, line=line, key="Application.Name", message=message, hint=hint)
