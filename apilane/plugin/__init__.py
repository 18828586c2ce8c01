"""The plugin API."""
