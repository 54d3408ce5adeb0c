"""Seeded damage to a file's bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

__all__ = ["KINDS", "Mutation", "mutate"]

_HEADER_BYTES = 512
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
_MAX_BLOCK = 4096


@attrs.frozen(kw_only=True)
class Mutation:
    """A damaged file.

    Attributes:
        kind: Key of `KINDS`.
        start: Index of the first byte that differs or is missing.
        data: The bytes.
    """

    kind: str
    start: int
    data: bytes = attrs.field(repr=False)


def mutate(data: bytes, other: bytes, random: Random) -> Mutation:
    """Return *data* with one kind of damage; *other* is a file to join to it."""
    kind = random.choice(tuple(KINDS))
    damaged = KINDS[kind](data, other, random)
    changed = (index for index, (old, new) in enumerate(zip(data, damaged, strict=False)) if old != new)
    return Mutation(kind=kind, start=next(changed, min(len(data), len(damaged))), data=damaged)


def _flip_bits(data: bytes, _other: bytes, random: Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _extreme_field(data: bytes, _other: bytes, random: Random) -> bytes:
    """Overwrite one to three fields of 1 to 8 bytes near the start with extreme values."""
    damaged = bytearray(data)
    for _ in range(random.randint(1, 3)):
        width = random.choice((1, 2, 4, 8))
        start = random.randrange(max(1, min(_HEADER_BYTES, len(damaged)) - width))
        value = bytes([random.choice(_EXTREMES)]) * width
        if random.random() < 0.5:
            value = random.choice((1, 2, 2 ** (8 * width - 1) - 1, 2 ** (8 * width) - 2)).to_bytes(
                width, random.choice(("big", "little"))
            )
        damaged[start : start + width] = value
    return bytes(damaged)


def _overwrite(data: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:start] + random.randbytes(end - start) + data[end:]


def _zero(data: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:start] + bytes(end - start) + data[end:]


def _delete(data: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:start] + data[end:]


def _insert(data: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:start] + random.randbytes(end - start) + data[start:]


def _duplicate(data: bytes, _other: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:end] + data[start:]


def _truncate(data: bytes, _other: bytes, random: Random) -> bytes:
    return data[: random.randrange(1, len(data))]


def _swap(data: bytes, _other: bytes, random: Random) -> bytes:
    """Swap two neighbouring blocks."""
    start, end = _block(data, random)
    after = min(len(data), 2 * end - start)
    return data[:start] + data[end:after] + data[start:end] + data[after:]


def _join(data: bytes, other: bytes, random: Random) -> bytes:
    """Append another file or the same file, whole or from a random byte on."""
    second = random.choice((data, other))
    return data + second[random.choice((0, 0, random.randrange(len(second)))) :]


def _block(data: bytes, random: Random) -> tuple[int, int]:
    """Return start and end of a block of 1 to 4,096 bytes, or of up to half the file."""
    longest = random.choice((8, _MAX_BLOCK, max(1, len(data) // 2)))
    size = random.randint(1, min(longest, len(data)))
    start = random.randint(0, len(data) - size)
    return start, start + size


KINDS: dict[str, Callable[[bytes, bytes, Random], bytes]] = {
    "flip bits": _flip_bits,
    "extreme field": _extreme_field,
    "overwrite": _overwrite,
    "zero": _zero,
    "delete": _delete,
    "insert": _insert,
    "duplicate": _duplicate,
    "truncate": _truncate,
    "swap": _swap,
    "join": _join,
}
"""The function of each kind of mutation."""
