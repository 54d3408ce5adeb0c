"""Checks of a loaded model: its facts, the device of its parameters, and closing."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import attrs

from asrlab.errors import AsrlabError, OptionError
from asrlab.options import TASKS, Capabilities
from asrlab.testing.conformance.check import Check, CheckContext, describe_error
from asrlab.testing.conformance.plugin_checks import code

_FLAGS = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_UNSUPPORTED_TYPE = "float13"
_MAX_OTHER_SHARE = 0.1  # small models, such as for voice activity detection, may run on the CPU
_MAX_OBJECTS = 50_000
_NOT_SEARCHED = (str, bytes, int, float, type, ModuleType, BuiltinFunctionType, property)


@partial(
    Check,
    name="loads",
    description="The model loads on the device.",
    skip_reason=lambda context: (
        "its functions cannot be imported: see the check 'code'" if any(code.find_problems(context)) else ""
    ),
    requires="spec",
)
def _loads(context: CheckContext) -> Iterator[str]:
    if context.load_failure:
        yield f"asrlab.load raised: {context.load_failure}"


@partial(Check, name="capabilities", description="Capabilities have the documented types.")
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
    if languages is not None and not (
        _is_tuple(languages) and all(tag.isalpha() and tag.islower() for tag in languages)
    ):
        yield f"capabilities.languages is {languages!r}; use a tuple of primary subtags such as ('en',), or None"
    if not _is_tuple(options):
        yield f"capabilities.engine_options is {options!r}; use a tuple of names, such as ('patience',)"


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


@partial(Check, name="facts", description="The facts of the loaded model are complete.")
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


@partial(Check, name="device", description="The reported device is the requested device, everywhere.")
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


def _has_no_parameters(context: CheckContext) -> str:
    shares = _device_shares(context.transcriber.recognizer)
    return "" if shares else "the recognizer has no parameters of torch, CTranslate2 or ONNX Runtime"


@partial(
    Check, name="parameters", description="The parameters are on the reported device.", skip_reason=_has_no_parameters
)
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
    torch = sys.modules.get("torch")
    sizes: Counter[str] = Counter()
    models: Counter[str] = Counter()
    for value in _reachable(recognizer):
        package = type(value).__module__.partition(".")[0]
        if torch is not None and isinstance(value, torch.nn.Parameter):
            sizes[value.device.type] += value.numel() * value.element_size()
        elif package == "ctranslate2" and isinstance(device := getattr(value, "device", None), str):
            models[device] += 1
        elif package == "onnxruntime" and callable(providers := getattr(value, "get_providers", None)):
            models["cuda" if "CUDAExecutionProvider" in providers() else "cpu"] += 1
    counts = sizes or models
    return {kind: size / counts.total() for kind, size in counts.items()}


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
        try:
            return (value.cell_contents,)
        except ValueError:  # not filled yet
            return ()
    if isinstance(value, FunctionType):
        return value.__closure__ or ()
    if isinstance(value, MethodType):
        return (value.__self__,)
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()) if isinstance(name, str)]
    members = [getattr(value, name, None) for name in slots if not name.startswith("__")]
    return [*members, *getattr(value, "__dict__", {}).values()]


@partial(Check, name="compute-type", description="An unknown compute type raises OptionError.")
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


@partial(Check, name="closing", description="A closed transcriber does not transcribe, and may be closed again.")
def closing(context: CheckContext) -> Iterator[str]:
    """Yield the faults of a transcriber while and after it is closed."""
    transcriber, speech = context.target.load(), context.speech
    transcriber.transcribe(speech)
    for time in ("first", "second"):
        try:
            transcriber.close()
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"the {time} close() raised {describe_error(error)}; release() must not fail"
    if not transcriber.closed:
        yield "closed is False after close(); report this to asrlab"
    calls: dict[str, Callable[[], object]] = {
        "transcribe": lambda: transcriber.transcribe(speech),
        "stream": lambda: next(transcriber.stream(speech), None),
        "transcribe_many": lambda: list(transcriber.transcribe_many([speech])),
    }
    for name, call in calls.items():
        problem = "succeeded"
        try:
            call()
        except AsrlabError:
            continue
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            problem = f"raised {describe_error(error)} instead of an AsrlabError"
        yield f"{name} after close() {problem}; report this to asrlab"


CHECKS = (_loads, _capabilities, _facts, _device, _parameters, _compute_type)
