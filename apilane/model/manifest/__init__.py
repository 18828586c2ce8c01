"""Manifests: the declarative form of an application, read, checked, resolved and written. Pure."""
