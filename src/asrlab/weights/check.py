"""Check weights on disk before an engine opens them, whatever wrote them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from asrlab.errors import AsrlabError, WeightsError
from asrlab.weights.ctranslate2_check import check_ctranslate2_folder
from asrlab.weights.json_file import read_json_object
from asrlab.weights.local import files_of
from asrlab.weights.openai_checkpoint import check_openai_checkpoint
from asrlab.weights.safetensors_check import check_hub_config, check_safetensors_file, read_safetensors_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asrlab.weights.catalogue import WeightsFormat


_CONFIGS = ("generation_config.json", "preprocessor_config.json")
_MAX_OTHER_BYTES = 64 << 20  # tokenizer.json of the largest vocabularies has 35 MB


def check_weights(path: Path, format_: WeightsFormat) -> None:
    """Refuse weights that would crash an engine, cost more than they hold, or hold numbers that are not finite.

    No engine is imported. Each byte of the weights is read once: about 0.3 s per GB that is in the cache.

    Raises:
        WeightsError: Naming the file, what is wrong with it, and what to do.
    """
    if format_ == "openai-pt":
        check_openai_checkpoint(path)
    elif format_ == "ctranslate2":
        check_ctranslate2_folder(path)
    else:
        _check_hub_folder(path)


def _check_hub_folder(folder: Path) -> None:
    for name in files_of(folder, "safetensors"):
        file = folder / name
        if name.endswith(".safetensors"):
            check_safetensors_file(file)
        elif file.name == "config.json":
            beside = file.parent.glob("*.safetensors")
            shapes = [shape for path in beside for shape in read_safetensors_shapes(path).values()]
            check_hub_config(file, read_json_object(file), shapes)
        elif file.name in _CONFIGS:
            read_json_object(file)
        elif file.stat().st_size > _MAX_OTHER_BYTES:
            raise WeightsError(
                f"{file} is larger than {_MAX_OTHER_BYTES >> 20} MiB, which no model needs; fetch the weights again",
                model=str(file),
            )


@contextmanager
def explain_failed_load(path: Path | None, *, model: str, advice: str) -> Iterator[None]:
    """Turn whatever an engine's package raises while it opens weights into a `WeightsError`.

    A missing package is left as it is: it is not the weights' fault.

    Args:
        path: The weights.
        model: The model's name.
        advice: What to do, after the reason.

    Raises:
        WeightsError: With the class and the first line of what was raised.
    """
    try:
        yield
    except (AsrlabError, ImportError):
        raise
    except BaseException as error:
        # a panic of a library in Rust is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        raise WeightsError(
            f"{path} cannot be loaded as {model} ({type(error).__name__}: {first_line}); {advice}", model=model
        ) from error
