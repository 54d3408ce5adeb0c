"""The PocketSphinx engine for asrlab. Importing this imports no engine: the spec names the code by dotted strings."""

from __future__ import annotations

from asrlab.plugin import EngineSpec, ModelSpec, hookimpl

__all__ = ["SPEC", "asrlab_engines", "asrlab_plugin_api"]

asrlab_plugin_api = 2

SPEC = EngineSpec(
    name="pocketsphinx",
    factory="asrlab_pocketsphinx.load:load",
    devices="asrlab_pocketsphinx.load:devices",
    models=(
        ModelSpec(
            name="en-us",
            languages=("en",),
            description="US English, in the wheel of pocketsphinx",
            # 18 errors in the 70 words of the smoke set (asrlab bench smoke with pocketsphinx 5.1.1), and five more
            wer_bound=0.33,
        ),
    ),
    default_model="en-us",
    compute_types=("int16",),
    distribution="pocketsphinx",
    import_name="pocketsphinx",
    install="pip install asrlab-pocketsphinx",
    reported_distributions=("asrlab-pocketsphinx", "pocketsphinx"),
)


@hookimpl
def asrlab_engines() -> list[EngineSpec]:
    """Return the PocketSphinx engine."""
    return [SPEC]
