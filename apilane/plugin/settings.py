"""Settings of a plugin (``apilane_register_settings``): for the instance, for each application, and their secrets."""

from __future__ import annotations

from msgspec import Struct

from apilane.security.secret import Secret

__all__ = ["PluginSettings", "Secret"]


class PluginSettings(Struct, frozen=True, kw_only=True):
    """The Structs that a plugin's settings are read into.

    The description of a field is ``Annotated[T, Meta(description=...)]``. Fields of type ``Secret`` may stand in nested
    Structs and mappings; in lists only under items that have a ``Name``, by which a stored secret finds its item again.
    """

    instance: type[Struct] | None = None
    """The section ``[plugins.NAME]`` of ``apilane.toml``, and the variables ``APILANE_<NAME>_<FIELD>``.

    The hooks of the plugin receive it as ``options``.
    """
    application: type[Struct] | None = None
    """The section ``Plugins.NAME`` of a manifest, every field with a default; ``ApplicationView.options`` gives it."""
    enforced: bool = False
    """Whether an application that has the section must not be served without this plugin
    (docs/reference/protocol/security.md B-S13).
    """
