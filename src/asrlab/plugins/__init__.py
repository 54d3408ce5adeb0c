"""Plugins: their hooks, the host that loads each in isolation, and the registry of models."""
