"""The settings of files."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["FileSection", "FileSettings"]


class FileSettings(Struct, frozen=True, kw_only=True):
    """The settings of the server."""

    store: Annotated[str, Meta(description="Name of the store of applications that choose none.")] = "local"
    blocked_extensions: Annotated[
        tuple[str, ...], Meta(description="Extensions that an upload must not have, in lower case with the dot.")
    ] = (".exe", ".vbs", ".msi", ".jar", ".bat", ".cmd", ".vbe", ".js", ".jsp", ".lnk")
    uploads_max: Annotated[
        int, Meta(ge=1, description="Largest number of uploads that a worker receives at the same time.")
    ] = 256
    upload_timeout_s: Annotated[float, Meta(gt=0, description="Seconds that an upload may take.")] = 600.0
    link_max_s: Annotated[int, Meta(ge=1, description="Longest time that a link is valid, in seconds.")] = 604_800
    orphans_after_s: Annotated[
        float,
        Meta(gt=0, description="Age of a content without a record when it is deleted; twice upload_timeout_s or more."),
    ] = 3600.0
    orphans_every_s: Annotated[
        float, Meta(gt=0, description="Seconds between two searches for such contents in all applications.")
    ] = 86_400.0

    def __post_init__(self) -> None:
        wrong = next((each for each in self.blocked_extensions if not each.startswith(".") or each != each.lower()), "")
        if wrong:
            raise ValueError(f"blocked_extensions has {wrong!r}; write it in lower case with a dot, such as '.exe'")
        if self.orphans_after_s < 2 * self.upload_timeout_s:
            raise ValueError(
                f"orphans_after_s is {self.orphans_after_s:g}; expected twice upload_timeout_s "
                f"({2 * self.upload_timeout_s:g}) or more, so that no upload in progress is deleted"
            )


class FileSection(Struct, frozen=True, kw_only=True, rename="pascal"):
    """``Plugins.files`` of a manifest."""

    store: Annotated[str | None, Meta(description="Name of the application's store; unset: that of the server.")] = None
