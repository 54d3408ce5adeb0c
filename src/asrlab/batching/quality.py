"""Whether what was decoded in a batch may stand, or the recording must go through the engine's full path."""

from __future__ import annotations

from asrlab.batching.backend import Decoded, Detected
from asrlab.vad import find_repetition

LEAST_LOGPROB = -1.0
MOST_COMPRESSION = 2.4
MOST_NO_SPEECH = 0.6
"""Source: openai-whisper and faster-whisper, ``transcribe``: ``logprob_threshold``, ``compression_ratio_threshold`` and
``no_speech_threshold``. There a text is left out, or decoded again at a higher temperature; here both go to that code.
"""
LEAST_LANGUAGE = 0.5
"""Source: faster-whisper, ``language_detection_threshold``."""


def doubt(decoded: Decoded, detected: Detected) -> str | None:
    """Why the text of a piece is not to be trusted, in a few words; None if there is no reason.

    Besides the engine's own checks: a text that was cut off, speech that is left for another window, a loop of words,
    nothing heard at all, and a language that is less than even odds. All of them may come from the shorter window.
    """
    reasons = {
        "cut off": not decoded.ended,
        "speech left": decoded.left > 0,
        "low probability": decoded.avg_logprob < LEAST_LOGPROB,
        "compressible": decoded.compression_ratio > MOST_COMPRESSION,
        "no speech": decoded.no_speech_prob > MOST_NO_SPEECH,
        "nothing heard": not decoded.segments,
        "language in doubt": detected.probability is not None and detected.probability < LEAST_LANGUAGE,
    }
    found = next((reason for reason, applies in reasons.items() if applies), None)
    if found is None and find_repetition(" ".join(segment.text for segment in decoded.segments)):
        found = "repetition"
    return found
