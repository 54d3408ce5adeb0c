"""The skeleton of a plugin package: a hook, a transcriber, its tests. It works as written, and hears only loudness."""

from asrlab.plugins.template.writer import SkeletonNames, write_skeleton

__all__ = ["SkeletonNames", "write_skeleton"]
