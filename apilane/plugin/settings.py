"""Settings of a plugin (``apilane_register_settings``): for the instance, for each application, and their secrets."""

from __future__ import annotations

from msgspec import Struct

from apilane.security.secret import Secret

__all__ = ["PluginSettings", "Secret"]


class PluginSettings(Struct, frozen=True, kw_only=True):
    """The Structs of a plugin's settings.

    A field is described by ``Annotated[T, Meta(description=...)]``. Fields of type ``Secret`` are allowed in nested
    Structs and mappings. In lists they are allowed only in items with a ``Name``, which assigns a stored secret to its
    item.
    """

    instance: type[Struct] | None = None
    """The section ``[plugins.NAME]`` of ``apilane.toml``, and the variables ``APILANE_<NAME>_<FIELD>``.

    The hooks of the plugin receive it as ``options``.
    """
    application: type[Struct] | None = None
    """The section ``Plugins.NAME`` of a manifest. Every field has a default. ``ApplicationView.options`` returns it."""
    enforced: bool = False
    """Whether an application with the section is refused when this plugin is not loaded
    (docs/reference/protocol/security.md B-S13).
    """
