"""Checks of a loaded model: its facts, the device of its parameters, and closing."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import attrs

from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError, OptionError
from asrlab.options import TASKS, Capabilities
from asrlab.testing.conformance.check import Check, CheckContext, describe_error
from asrlab.testing.conformance.checks.plugins import find_broken_code

_FLAGS = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_UNSUPPORTED_TYPE = "float13"
_MAX_OTHER_SHARE = 0.1  # small models, such as for voice activity detection, may run on the CPU
_MAX_OBJECTS = 50_000
_NOT_SEARCHED = (str, bytes, int, float, type, ModuleType, BuiltinFunctionType, property)


def _loads(context: CheckContext) -> Iterator[str]:
    if context.load_failure:
        yield f"asrlab.load raised: {context.load_failure}"


def _capabilities(context: CheckContext) -> Iterator[str]:
    capabilities = context.transcriber.info.capabilities
    if not isinstance(capabilities, Capabilities):
        yield f"info.capabilities is a {type(capabilities).__name__}; use asrlab.Capabilities"
        return
    values: dict[str, Any] = attrs.asdict(capabilities, recurse=False)
    for name in _FLAGS:
        if not isinstance(values[name], bool):
            yield f"capabilities.{name} is {values[name]!r}; use True or False"
    tasks, languages, options = values["tasks"], values["languages"], values["engine_options"]
    if not _is_tuple(tasks) or not tasks or not set(tasks) <= set(TASKS):
        yield f"capabilities.tasks is {tasks!r}; use a tuple of {' or '.join(TASKS)}"
    if languages is not None and not (_is_tuple(languages) and all(map(_is_subtag, languages))):
        yield f"capabilities.languages is {languages!r}; use a tuple of primary subtags such as ('en',), or None"
    if not _is_tuple(options):
        yield f"capabilities.engine_options is {options!r}; use a tuple of names, such as ('patience',)"


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _is_subtag(value: str) -> bool:
    return value.isalpha() and value.islower()


def _facts(context: CheckContext) -> Iterator[str]:
    info: Any = context.transcriber.info
    if info.model.name != context.resolved.name:
        yield f"info.model is {info.model.name!r} instead of {context.resolved.name!r}; pass request.model on"
    if not isinstance(info.compute_type, str) or info.compute_type in ("", "auto"):
        yield f"info.compute_type is {info.compute_type!r}; name the number format in use, such as 'float32'"
    if not (info.threads is None or (type(info.threads) is int and info.threads > 0)):
        yield f"info.threads is {info.threads!r}; use an integer, or None if the engine does not tell"
    if not info.packages:
        yield "info.packages is empty; pass request.packages on, so that transcripts have the versions"


def _device(context: CheckContext) -> Iterator[str]:
    requested, device = context.target.load_device, context.transcriber.info.device
    report = context.resolved.engine.device_report()
    if requested == "cpu" and "cpu" not in report.available:
        yield f"the devices function reports {report}; it must report the cpu if the engine runs there"
    if device.resolved.partition(":")[0] != requested.partition(":")[0] or device.requested != requested:
        yield (
            f"requested {requested}, but info.device is {device!r}; load on request.device.resolved, and pass "
            "request.device on"
        )
    if device.simulated != context.target.simulated:
        yield f"info.device has the wrong simulated={device.simulated}; pass request.device on"
    if context.transcript.device != device:
        yield f"the transcript has {context.transcript.device}, the transcriber {device}; pass request.device on"


def _parameters(context: CheckContext) -> Iterator[str]:
    kind = context.transcriber.info.device.resolved.partition(":")[0]
    shares = _device_shares(context.transcriber.recognizer)
    others = {name: share for name, share in shares.items() if name != kind}
    if sum(others.values()) > _MAX_OTHER_SHARE:
        actual = ", ".join(f"{share:.0%} on {name}" for name, share in sorted(others.items()))
        yield f"info.device is {kind}, but of the model's parameters {actual}; move the model to the reported device"


def _device_shares(recognizer: object) -> Mapping[str, float]:
    """Return the share of parameter bytes on each kind of device; empty if no parameters are found.

    Parameters of torch are counted by size. Without any, models of CTranslate2 and sessions of ONNX Runtime count
    equally.
    """
    sizes: Counter[str] = Counter()
    models: Counter[str] = Counter()
    for value in _reachable(recognizer):
        for kind, size in _torch_parameters(value):
            sizes[kind] += size
        if kind := _model_device(value):
            models[kind] += 1
    counts = sizes or models
    return {kind: size / counts.total() for kind, size in counts.items()}


def _torch_parameters(value: object) -> Iterator[tuple[str, int]]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Parameter):
        yield value.device.type, value.numel() * value.element_size()


def _model_device(value: object) -> str:
    package = type(value).__module__.partition(".")[0]
    if package == "ctranslate2" and isinstance(device := getattr(value, "device", None), str):
        return device
    if package == "onnxruntime" and callable(providers := getattr(value, "get_providers", None)):
        return "cuda" if "CUDAExecutionProvider" in providers() else "cpu"
    return ""


def _reachable(root: object) -> Iterator[object]:
    """Yield each object that *root* refers to, directly or not."""
    torch = sys.modules.get("torch")
    tensor: tuple[type, ...] = (torch.Tensor,) if torch is not None else ()
    pending, seen = deque([root]), {id(root)}
    while pending and len(seen) < _MAX_OBJECTS:
        value = pending.popleft()
        yield value
        for referent in () if isinstance(value, tensor) else _referents(value):
            if id(referent) not in seen and not isinstance(referent, _NOT_SEARCHED):
                seen.add(id(referent))
                pending.append(referent)


def _referents(value: object) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [*value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return [*value]
    if isinstance(value, CellType):
        return _cell_contents(value)
    if isinstance(value, FunctionType):
        return value.__closure__ or ()
    if isinstance(value, MethodType):
        return (value.__self__,)
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()) if isinstance(name, str)]
    members = [getattr(value, name, None) for name in slots if not name.startswith("__")]
    return [*members, *getattr(value, "__dict__", {}).values()]


def _cell_contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # not filled yet
        return ()


def _has_no_parameters(context: CheckContext) -> str:
    if _device_shares(context.transcriber.recognizer):
        return ""
    return "the recognizer has no parameters of torch, CTranslate2 or ONNX Runtime"


def _compute_type(context: CheckContext) -> Iterator[str]:
    try:
        transcriber = context.target.load(compute_type=_UNSUPPORTED_TYPE)
    except OptionError:
        return
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        yield f"compute_type={_UNSUPPORTED_TYPE!r} raised {describe_error(error)}; set compute_types in the spec"
        return
    transcriber.close()
    yield (
        f"compute_type={_UNSUPPORTED_TYPE!r} was accepted as {transcriber.info.compute_type!r}; set compute_types "
        "in the spec, or raise OptionError in the factory"
    )


def _closing(context: CheckContext) -> Iterator[str]:
    transcriber = context.target.load()
    transcriber.transcribe(context.speech)
    for time in ("first", "second"):
        try:
            transcriber.close()
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"the {time} close() raised {describe_error(error)}; release() must not fail"
    if not transcriber.closed:
        yield "closed is False after close(); report this to asrlab"
    for name, call in _calls(transcriber, context).items():
        if problem := _succeeds(call):
            yield f"{name} after close() {problem}; report this to asrlab"


def _calls(transcriber: Transcriber, context: CheckContext) -> dict[str, Callable[[], object]]:
    return {
        "transcribe": lambda: transcriber.transcribe(context.speech),
        "stream": lambda: next(transcriber.stream(context.speech), None),
        "transcribe_many": lambda: list(transcriber.transcribe_many([context.speech])),
    }


def _succeeds(call: Callable[[], object]) -> str:
    try:
        call()
    except AsrlabError:
        return ""
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return f"raised {describe_error(error)} instead of an AsrlabError"
    return "succeeded"


CHECKS = (
    Check(
        name="loads",
        description="The model loads on the device.",
        find_problems=_loads,
        skip_reason=lambda context: (
            "its functions cannot be imported: see the check 'code'" if any(find_broken_code(context)) else ""
        ),
        requires="spec",
    ),
    Check(name="capabilities", description="Capabilities have the documented types.", find_problems=_capabilities),
    Check(name="facts", description="The facts of the loaded model are complete.", find_problems=_facts),
    Check(name="device", description="The reported device is the requested device, everywhere.", find_problems=_device),
    Check(
        name="parameters",
        description="The parameters are on the reported device.",
        find_problems=_parameters,
        skip_reason=_has_no_parameters,
    ),
    Check(name="compute-type", description="An unknown compute type raises OptionError.", find_problems=_compute_type),
)
CLOSING = Check(
    name="closing",
    description="A closed transcriber does not transcribe, and may be closed again.",
    find_problems=_closing,
)
