"""The skeleton of a plugin package: a hook, a transcriber, its tests. It works as written, and hears only loudness."""

from asrlab.plugins.template.writer import PluginNames, write_plugin

__all__ = ["PluginNames", "write_plugin"]
