"""The opened instance, for the server, the commands and tests. This package uses the services; the web uses it."""

from apilane.instance.instance import Instance, open_instance
from apilane.instance.loaded import LoadedApplications

__all__ = ["Instance", "LoadedApplications", "open_instance"]
