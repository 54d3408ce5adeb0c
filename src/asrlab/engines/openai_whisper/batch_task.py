"""openai-whisper's own encoder and decoding, for several recordings at once and for a window shorter than 30 s."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - as PyTorch's documentation calls it
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.model import Whisper

__all__ = ["BatchTask", "detect", "encode"]


def encode(model: Whisper, mel: torch.Tensor) -> torch.Tensor:
    """*mel*, shape (n, n_mels, frames), encoded: shape (n, frames / 2, n_state).

    Upstream's encoder refuses what is not 30 s long; for less, this is the same with the first of its positions.

    Source: openai-whisper 20250625, ``AudioEncoder.forward``.
    """
    encoder = model.encoder
    if mel.shape[-1] == 2 * model.dims.n_audio_ctx:
        full: torch.Tensor = encoder(mel)
        return full
    x = F.gelu(encoder.conv1(mel))
    x = F.gelu(encoder.conv2(x)).permute(0, 2, 1)
    x = (x + encoder.positional_embedding[: x.shape[1]]).to(x.dtype)
    for block in encoder.blocks:
        x = block(x)
    out: torch.Tensor = encoder.ln_post(x)
    return out


class BatchTask(DecodingTask):  # type: ignore[misc] # has no type information
    """Upstream's decoding of what is encoded already, each recording in its own language.

    Greedy, since upstream's beam search takes one recording: its ``run`` repeats the tokens for each beam and not what
    they attend to.
    """

    def __init__(self, model: Whisper, options: DecodingOptions, languages: Sequence[str]) -> None:
        super().__init__(model, options)
        self._languages = list(languages)

    def _get_audio_features(self, mel: torch.Tensor) -> torch.Tensor:
        return mel

    def _detect_language(self, _audio_features: torch.Tensor, tokens: torch.Tensor) -> tuple[list[str], None]:
        if self.model.is_multilingual:
            marks = [self.tokenizer.to_language_token(language) for language in self._languages]
            tokens[:, self.sot_index + 1] = torch.tensor(marks)
        return self._languages, None


@torch.no_grad()
def detect(model: Whisper, encoded: torch.Tensor) -> list[tuple[str, float]]:
    """The likeliest language of each, with its probability.

    Source: openai-whisper 20250625, ``detect_language``, which would encode a shorter window once more.
    """
    tokenizer = DecodingTask(model, DecodingOptions()).tokenizer
    starts = torch.tensor([[tokenizer.sot]] * len(encoded), device=encoded.device)
    logits = model.logits(starts, encoded)[:, 0]
    probabilities = logits[:, list(tokenizer.all_language_tokens)].float().softmax(dim=-1).cpu()
    best = probabilities.argmax(dim=-1)
    codes = tokenizer.all_language_codes
    return [(codes[place], float(row[place])) for place, row in zip(best.tolist(), probabilities, strict=True)]
