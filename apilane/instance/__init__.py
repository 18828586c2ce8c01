"""The opened instance: one way to it for the server, the commands and tests. Above every service, below the web."""

from apilane.instance.instance import Instance, open_instance
from apilane.instance.loaded import LoadedApplications

__all__ = ["Instance", "LoadedApplications", "open_instance"]
