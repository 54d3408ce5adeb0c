"""From an id on the Hugging Face hub to a folder on this disk."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
from huggingface_hub import snapshot_download

from asrlab import ModelInfo, WeightsError
from asrlab.plugin import LoadRequest
from asrlab.weights import WeightsStore, check_weights

__all__ = ["find_folder"]

_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# What a model is made of; nothing that could run code, and none of the folders for other frameworks.
_WANTED = ("*.safetensors", "*.json", "*.txt", "*.model")
_UNWANTED = ("*/*",)


def find_folder(request: LoadRequest) -> tuple[Path, ModelInfo]:
    """Return the folder of the model and the facts of its weights; fetch missing files from the hub.

    Raises:
        WeightsError: It is no id of the hub, it cannot be fetched, or it has no weights in safetensors.
    """
    if request.weights is not None:
        return request.weights, request.model
    name = request.spec.name if request.spec else ""
    match = _ID.fullmatch(name)
    if match is None:
        raise WeightsError(
            f"{name!r} is no id of a model on the hub; write transformers/OWNER/NAME, "
            "transformers/OWNER/NAME@REVISION, or transformers/./FOLDER",
            model=request.model.name,
        )
    folder = _snapshot(request, match["id"], match["revision"])
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(
            f"{name} on the hub holds no weights in safetensors; others can run code when they are loaded, and are "
            "left out: ask its authors for safetensors, or convert it and give the folder",
            model=request.model.name,
        )
    stored = WeightsStore().from_folder(folder)
    check_weights(folder, stored.format)  # those of a folder on this disk asrlab.load has checked
    source = f"hub {match['id']}@{folder.name[:7]}"  # a snapshot's folder is named by its commit
    return folder, attrs.evolve(request.model, weights_sha256=stored.sha256, weights_source=source)


def _snapshot(request: LoadRequest, repository: str, revision: str | None) -> Path:
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(_WANTED),
                ignore_patterns=list(_UNWANTED),
                local_files_only=request.offline,
            )
        )
    except Exception as error:
        said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        wanted = "offline was asked for" if request.offline else "it could not be fetched"
        raise WeightsError(
            f"{repository} is not in the Hugging Face cache of this machine, and {wanted} ({said}); online, run: "
            f"hf download {repository}, or give a folder: transformers/./FOLDER",
            model=request.model.name,
        ) from error
