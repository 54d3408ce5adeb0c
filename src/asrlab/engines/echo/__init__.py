"""The echo engine: deterministic, without weights, for tests and documentation."""

from __future__ import annotations

from asrlab.engine.spec import EngineSpec, ModelSpec
from asrlab.plugins.hookspecs import hookimpl

__all__ = ["SPEC", "asrlab_engines"]

SPEC = EngineSpec(
    name="echo",
    factory="asrlab.engines.echo.recognizer:load",
    devices="asrlab.engines.echo.recognizer:devices",
    models=(ModelSpec(name="echo", description="Names how loud each second is; for tests and documentation"),),
    default_model="echo",
    compute_types=("float32",),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the echo engine."""
    return [SPEC]
