"""A loaded LFM2.5-Audio model."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch
from liquid_audio import ChatState, LFM2AudioModel, LFM2AudioProcessor

from asrlab.audio import SAMPLE_RATE, AudioReader
from asrlab.engine.contract import Recognition, Recognizer, TranscriberInfo
from asrlab.engines.pytorch import empty_cache
from asrlab.options import TranscribeOptions
from asrlab.transcript import TranscriptWarning
from asrlab.vad import Chunker, ChunkResult, VoiceActivityDetector, transcribe_chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# Source: liquid-audio's README, section ASR: the prompt, greedy decoding, 512 tokens.
_PROMPT = "Perform ASR."
_MOST_TOKENS = 512
# Source: liquid_audio/model/lfm2_audio.py, generate_sequential: <|im_end|> is yielded and ends it.
_END = 7
# Source: liquid_audio/utils.py, mel2emb_len: the encoder takes at least 9 frames of 10 ms.
_MINIMUM_S = 0.09
_LONGEST_S = 30.0


class LiquidAudioRecognizer(Recognizer):
    """LFM2.5-Audio on PyTorch, greedy, in pieces of at most 30 s cut at silence; a segment is a piece.

    Pieces are decoded one at a time, and those of several threads take turns: upstream's ``generate_sequential`` takes
    a batch of one (``_prefill`` asserts it).

    Attributes:
        processor: Upstream's tokenizer, features and speech decoder, on the model's device, for what asrlab does not
            wrap, such as ``processor.decode(codes)``.
        model: Upstream's model, likewise.
    """

    def __init__(
        self,
        info: TranscriberInfo,
        processor: LFM2AudioProcessor,
        model: LFM2AudioModel,
        *,
        vad: VoiceActivityDetector,
    ) -> None:
        super().__init__(info)
        self._loaded: tuple[LFM2AudioProcessor, LFM2AudioModel] | None = (processor, model)
        self._chunker = Chunker(vad=vad, max_chunk_s=_LONGEST_S, min_audio_s=_MINIMUM_S)
        self._lock = threading.Lock()

    @property
    def processor(self) -> LFM2AudioProcessor:
        """Upstream's processor. Raises ``AsrlabError`` once the transcriber is closed."""
        return self._parts[0]

    @property
    def model(self) -> LFM2AudioModel:
        """Upstream's model. Raises ``AsrlabError`` once the transcriber is closed."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[LFM2AudioProcessor, LFM2AudioModel]:
        if self._loaded is None:
            raise self.closed_error()
        return self._loaded

    def recognize(self, audio: AudioReader, options: TranscribeOptions) -> Recognition:
        """Cut, transcribe each piece, and give a segment as soon as its piece is done."""
        processor, model = self._parts

        def heard(samples: NDArray[np.float32]) -> ChunkResult:
            with self._lock:
                return transcribe_piece(processor, model, samples)

        warnings: list[TranscriptWarning] = []
        segments = transcribe_chunks(
            audio.blocks(), recognize=heard, chunker=self._chunker, warnings=warnings, source=audio.name
        )
        languages = self.info.capabilities.languages or ()
        known = languages[0] if len(languages) == 1 else None
        return Recognition(segments=segments, language=options.language or known, warnings=warnings)

    def release(self) -> None:
        """Drop the model; PyTorch's cache of the GPU's memory goes back too."""
        self._loaded = None
        empty_cache(self.info.device.resolved)


def transcribe_piece(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChunkResult:
    """What upstream's README does for speech recognition.

    Args:
        processor: Upstream's, on the model's device.
        model: Upstream's.
        samples: float32, shape (n,), at 16 kHz; 0.09 to 30 s.
    """
    tokens: list[int] = []
    for token in model.generate_sequential(**asr_chat(processor, model, samples), max_new_tokens=_MOST_TOKENS):
        if token.numel() > 1:  # a frame of speech, which no transcript has a use for
            continue
        tokens.append(int(token))
    ended = tokens[-1:] == [_END]
    text = processor.text.decode(tokens, skip_special_tokens=True)
    return ChunkResult(text=str(text), tokens=tuple(tokens[:-1] if ended else tokens), ended=ended)


def asr_chat(processor: LFM2AudioProcessor, model: LFM2AudioModel, samples: NDArray[np.float32]) -> ChatState:
    """What upstream's README puts before the model for speech recognition; takes what `transcribe_piece` does."""
    chat = ChatState(processor, codebooks=model.codebooks, dtype=model.lfm.embed_tokens.weight.dtype)
    chat.new_turn("system")
    chat.add_text(_PROMPT)
    chat.end_turn()
    chat.new_turn("user")
    chat.add_audio(torch.from_numpy(samples)[None], SAMPLE_RATE)
    chat.end_turn()
    chat.new_turn("assistant")
    return chat
