"""Programs that test the simulation on entering: correct results, and the errors of MPS."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import attrs
import torch
from torch.nn import functional

# an op that has no MPS kernel with torch 2.9, 2.11 and 2.15
_WITHOUT_KERNEL = "mode"


@attrs.frozen(kw_only=True)
class SelfTestResult:
    """The result of one program of the self-test; *failure* is empty if it passed."""

    name: str
    failure: str = ""

    def __str__(self) -> str:
        return f"FAILED  {self.name}: {self.failure}" if self.failure else f"ok  {self.name}"


def run_self_test(*, sparse: bool, fallback: bool) -> tuple[SelfTestResult, ...]:
    """Run all programs on the simulated device of this thread, which allows *sparse* tensors and *fallback* or not."""
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(0)
        return (
            *(
                SelfTestResult(name=f"{name} the CPU's numbers", failure=_difference(program))
                for name, program in _PROGRAMS.items()
            ),
            *_test_errors(),
            _test_sparse(allowed=sparse),
            _test_missing_kernel(fallback=fallback),
        )


def _difference(program: Callable[[str], torch.Tensor]) -> str:
    try:
        torch.manual_seed(1)
        expected = program("cpu")
        torch.manual_seed(1)
        result = program("mps")
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        return f"{type(error).__name__}: {error}"
    if str(result.device) != "mps:0":
        return f"the result is on {result.device}"
    return "" if torch.equal(result.cpu(), expected) else "the numbers differ"


def _module(device: str) -> torch.Tensor:
    layers = (torch.nn.Linear(6, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    logits: torch.Tensor = torch.nn.Sequential(*layers).to(device)(torch.randn(2, 6).to(device))
    return logits.softmax(-1)


def _convolutions(device: str) -> torch.Tensor:
    signal, weight = torch.randn(1, 2, 9).to(device), torch.randn(4, 2, 3).to(device)
    down = functional.conv1d(signal, weight, stride=2, padding=1)
    return functional.conv_transpose1d(down, weight)


def _attention(device: str) -> torch.Tensor:
    queries, keys, values = (torch.randn(1, 2, 5, 4).to(device) for _ in range(3))
    return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)


def _indexing(device: str) -> torch.Tensor:
    table = torch.arange(12.0, device=device).reshape(3, 4)
    table[table > 9] = -1.0
    table[0, 1:3] = torch.ones(2, device=device)
    table[[1, 2]] += table[[2, 1]]
    return table[torch.tensor([2, 0]), 1:]


def _fourier(device: str) -> torch.Tensor:
    window = torch.hann_window(16, device=device)
    spectrum = torch.stft(torch.randn(64).to(device), 16, window=window, return_complex=True)
    return torch.istft(spectrum, 16, window=window, length=64)


def _integers(device: str) -> torch.Tensor:
    counts = torch.cat([torch.zeros(2, dtype=torch.int32, device=device), torch.full((3,), 4, device=device)])
    return torch.stack([counts.cumsum(0), counts.argsort(descending=True)]).to(torch.float16)


_PROGRAMS: dict[str, Callable[[str], torch.Tensor]] = {
    "a module moved to the device computes": _module,
    "convolutions compute": _convolutions,
    "attention computes": _attention,
    "indexing reads and writes": _indexing,
    "a Fourier transform and back compute": _fourier,
    "integers, casts and reductions compute": _integers,
}


def _test_errors() -> Iterator[SelfTestResult]:
    ones = torch.ones(2, 2)
    tensor = ones.to("mps")
    programs: tuple[tuple[str, type[Exception], str, Callable[[], object]], ...] = (
        ("float64 is refused", TypeError, "doesn't support float64", tensor.double),
        ("complex128 is refused", TypeError, "ComplexDouble", partial(ones.to, "mps", torch.complex128)),
        ("numpy() is refused", TypeError, "device type tensor to numpy", tensor.numpy),
        ("cuda() is refused", AssertionError, "not compiled with CUDA", torch.nn.Linear(1, 1).cuda),
        ("two devices in one op are refused", RuntimeError, "two devices", partial(torch.add, tensor, ones)),
    )
    for program in programs:
        yield _test_raises(*program)


def _test_sparse(*, allowed: bool) -> SelfTestResult:
    numbers = torch.eye(2, dtype=torch.bool).to_sparse()
    if not allowed:
        return _test_raises("a sparse tensor is refused", NotImplementedError, "SparseMPS", partial(numbers.to, "mps"))
    try:
        indices = numbers.to("mps").indices().T.tolist()
        failure = "" if indices == [[0, 0], [1, 1]] else f"its indices are {indices}"
    except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
        failure = f"{type(error).__name__}: {error}"
    return SelfTestResult(name="a sparse tensor moves to the device", failure=failure)


def _test_missing_kernel(*, fallback: bool) -> SelfTestResult:
    program = getattr(torch, _WITHOUT_KERNEL)
    matrix = torch.eye(2, device="mps")
    if not fallback:
        name = "an op without a kernel is refused"
        return _test_raises(
            name, NotImplementedError, "not currently implemented for the MPS", partial(program, matrix)
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program(matrix)
    warned = any("will fall back to run on the CPU" in str(warning.message) for warning in caught)
    return SelfTestResult(name="an op without a kernel warns and runs", failure="" if warned else "the op did not warn")


def _test_raises(name: str, kind: type[Exception], message: str, program: Callable[[], object]) -> SelfTestResult:
    try:
        program()
    except Exception as error:  # noqa: BLE001 - any exception is compared
        is_expected = isinstance(error, kind) and message in str(error) and str(error).endswith("(simulated)")
        return SelfTestResult(name=name, failure="" if is_expected else f"raised {type(error).__name__}: {error}")
    return SelfTestResult(name=name, failure=f"no {kind.__name__} was raised")
