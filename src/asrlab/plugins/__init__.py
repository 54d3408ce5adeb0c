"""Plugins: the hooks they write, the host that loads each alone, and the registry of models."""
