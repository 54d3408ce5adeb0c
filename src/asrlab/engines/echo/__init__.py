"""The echo engine: deterministic, without weights, for tests and documentation."""

from __future__ import annotations

from asrlab.plugins.hookspecs import hookimpl
from asrlab.spec import EngineSpec, ModelSpec

__all__ = ["SPEC", "asrlab_engines"]

SPEC = EngineSpec(
    name="echo",
    factory="asrlab.engines.echo.transcriber:load",
    devices="asrlab.engines.echo.transcriber:devices",
    models=(ModelSpec(name="echo", description="Names how loud each second is; for tests and documentation"),),
    default_model="echo",
    compute_types=("float32",),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """The echo engine."""
    return [SPEC]
