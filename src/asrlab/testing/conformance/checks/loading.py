"""Checks of a loaded model: what it says of itself, where it is, and that it can be closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from asrlab.engine.transcriber import Transcriber
from asrlab.errors import AsrlabError, OptionError
from asrlab.options import TASKS, Capabilities
from asrlab.testing.conformance.check import Check, told
from asrlab.testing.conformance.checks.plugins import broken_code
from asrlab.testing.conformance.context import CheckContext
from asrlab.testing.conformance.parameters import device_shares

_FLAGS = ("word_timestamps", "beam_size", "temperature", "initial_prompt", "hotwords", "vad_filter")
_NO_SUCH_TYPE = "float13"
_MOST_ELSEWHERE = 0.1  # small helpers, such as a voice activity model, may stay on the CPU


def _loads(case: CheckContext) -> Iterator[str]:
    if case.load_failure:
        yield f"asrlab.load raised: {case.load_failure}"


def _capabilities(case: CheckContext) -> Iterator[str]:
    can = case.transcriber.info.capabilities
    if not isinstance(can, Capabilities):
        yield f"info.capabilities is a {type(can).__name__}; give an asrlab.Capabilities"
        return
    given: dict[str, Any] = attrs.asdict(can, recurse=False)
    for name in _FLAGS:
        if not isinstance(given[name], bool):
            yield f"capabilities.{name} is {given[name]!r}; give True or False"
    tasks, languages, own = given["tasks"], given["languages"], given["engine_options"]
    if not _is_tuple(tasks) or not tasks or not set(tasks) <= set(TASKS):
        yield f"capabilities.tasks is {tasks!r}; give a tuple of {' or '.join(TASKS)}"
    if languages is not None and not (_is_tuple(languages) and all(map(_is_subtag, languages))):
        yield f"capabilities.languages is {languages!r}; give a tuple of primary subtags such as ('en',), or None"
    if not _is_tuple(own):
        yield f"capabilities.engine_options is {own!r}; give a tuple of names, ('patience',) for one"


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _is_subtag(value: str) -> bool:
    return value.isalpha() and value.islower()


def _facts(case: CheckContext) -> Iterator[str]:
    info: Any = case.transcriber.info
    if info.model.name != case.resolved.name:
        yield f"info.model is {info.model.name!r}, asked for was {case.resolved.name!r}; hand on request.model"
    if not isinstance(info.compute_type, str) or info.compute_type in ("", "auto"):
        yield f"info.compute_type is {info.compute_type!r}; name the number format that is used, such as 'float32'"
    if not (info.threads is None or (type(info.threads) is int and info.threads > 0)):
        yield f"info.threads is {info.threads!r}; give a whole number, or None where the engine does not tell"
    if not info.packages:
        yield "info.packages is empty; hand on request.packages, so that transcripts name the versions"


def _device(case: CheckContext) -> Iterator[str]:
    asked, device = case.subject.load_device, case.transcriber.info.device
    report = case.resolved.engine.device_report()
    if asked == "cpu" and "cpu" not in report.available:
        yield f"the devices function offers {report}; it must offer the cpu if the engine runs there"
    if device.resolved.partition(":")[0] != asked.partition(":")[0] or device.requested != asked:
        yield f"asked for {asked}, info.device says {device!r}; load on request.device.resolved, and hand it on"
    if device.simulated != case.subject.simulated:
        yield f"info.device says simulated={device.simulated}, which is not so; hand on request.device"
    if case.transcript.device != device:
        yield f"the transcript says {case.transcript.device}, the transcriber {device}; return request.device in the info"


def _parameters(case: CheckContext) -> Iterator[str]:
    kind = case.transcriber.info.device.resolved.partition(":")[0]
    shares = device_shares(case.transcriber.recognizer)
    elsewhere = {name: share for name, share in shares.items() if name != kind}
    if sum(elsewhere.values()) > _MOST_ELSEWHERE:
        found = ", ".join(f"{share:.0%} on {name}" for name, share in sorted(elsewhere.items()))
        yield f"info.device says {kind}, but of the model's parameters {found}; move the model to the device it reports"


def _tells_nothing(case: CheckContext) -> str:
    if device_shares(case.transcriber.recognizer):
        return ""
    return "the transcriber holds nothing that tells where its parameters are (torch, CTranslate2 or ONNX Runtime)"


def _compute_type(case: CheckContext) -> Iterator[str]:
    try:
        loaded = case.load(compute_type=_NO_SUCH_TYPE)
    except OptionError:
        return
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        yield f"compute_type={_NO_SUCH_TYPE!r} raised {told(error)}; state compute_types"
        return
    loaded.close()
    yield (
        f"compute_type={_NO_SUCH_TYPE!r} was taken, and is now {loaded.info.compute_type!r}; state compute_types in "
        "the spec, or raise OptionError in the factory"
    )


def _closing(case: CheckContext) -> Iterator[str]:
    loaded = case.load()
    loaded.transcribe(case.speech)
    for time in ("first", "second"):
        try:
            loaded.close()
        except Exception as error:  # noqa: BLE001 - the plugin boundary
            yield f"the {time} close() raised {told(error)}; release() must not fail, nor close() a second time"
    if not loaded.closed:
        yield "closed is False after close(); report this to asrlab"
    for name, call in _calls(loaded, case).items():
        if said := _survives(call):
            yield f"{name} after close() {said}; do not override it, or raise closed_error() there"


def _calls(loaded: Transcriber, case: CheckContext) -> dict[str, Callable[[], object]]:
    return {
        "transcribe": lambda: loaded.transcribe(case.speech),
        "stream": lambda: next(loaded.stream(case.speech), None),
        "transcribe_many": lambda: list(loaded.transcribe_many([case.speech])),
    }


def _survives(call: Callable[[], object]) -> str:
    try:
        call()
    except AsrlabError:
        return ""
    except Exception as error:  # noqa: BLE001 - the plugin boundary
        return f"raised {told(error)} instead of an AsrlabError"
    return "still works"


CHECKS = (
    Check(
        name="loads",
        sentence="The model loads on the device.",
        problems=_loads,
        unless=lambda case: "its functions cannot be imported: see the check 'code'" if any(broken_code(case)) else "",
        needs="spec",
    ),
    Check(name="capabilities", sentence="Capabilities are of their types.", problems=_capabilities),
    Check(name="facts", sentence="The facts of the loaded model are stated.", problems=_facts),
    Check(name="device", sentence="The device reported is the one asked for, everywhere.", problems=_device),
    Check(
        name="parameters",
        sentence="The parameters are on the device that is reported.",
        problems=_parameters,
        unless=_tells_nothing,
    ),
    Check(
        name="compute-type", sentence="A number format that does not exist raises OptionError.", problems=_compute_type
    ),
)
CLOSING = Check(name="closing", sentence="Closing is final, and may be done again.", problems=_closing)
