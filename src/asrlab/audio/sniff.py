"""File types by their first and last bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream

OGG_HEADER = 27
MAX_OGG_PAGE = 65_307  # 27 bytes of header, 255 of lacing, 255 * 255 of data
_HEAD_BYTES = 512
_TEXT_TYPES = (
    (rb"<!doctype html|<html|<head|<body", "an HTML page, perhaps an error page of the server it came from"),
    (rb"<\?xml|<svg", "an XML document"),
    (rb"version https://git-lfs", "a Git LFS pointer; fetch the real file with 'git lfs pull'"),
    (rb"#EXTM3U|#EXTINF|\[playlist\]|ffconcat", "a playlist, which names audio files but contains no audio"),
    (rb"[{\[]", "JSON"),
)
_BINARY_TYPES = (
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy file; load it with numpy.load and pass the array with sample_rate="),
    (b"\x7fELF", "a program"),
)


def is_mpeg(stream: ByteStream) -> bool:
    """Return whether *stream* starts like MPEG audio (MP3, or AAC in ADTS): with an ID3 tag or a frame's sync bits."""
    head = stream.read_at(0, 3)
    return head == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def non_audio_reason(stream: ByteStream) -> str:
    """Return the type of *stream* in words if it certainly contains no audio; otherwise an empty string.

    FFmpeg would take a web page for AMR.
    """
    head = stream.read_at(0, _HEAD_BYTES)
    for magic, name in _BINARY_TYPES:
        if head.startswith(magic):
            return name
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, name in _TEXT_TYPES:
        if re.match(pattern, start, re.IGNORECASE) and (name != "JSON" or _is_text(head)):
            return name
    return ""


def describe_content(stream: ByteStream) -> str:
    """Return a description of the content of *stream*, which no decoder could open; empty if the type is unknown."""
    head = stream.read_at(0, _HEAD_BYTES)
    if name := non_audio_reason(stream):
        return name
    if head[4:8] == b"ftyp":
        return "an MP4 file without its index, which happens when copying or recording is cut off; copy it again"
    if _ends_within_ogg_page(stream):
        return "an Ogg file that was cut off before its first samples; copy it again"
    return "text" if _is_text(head) else ""


def _ends_within_ogg_page(stream: ByteStream) -> bool:
    if stream.read_at(0, 4) != b"OggS":
        return False
    tail = stream.read_at(max(0, stream.size - MAX_OGG_PAGE), MAX_OGG_PAGE)
    start = tail.rfind(b"OggS\x00")
    size = ogg_page_size(tail, start) if start >= 0 else None
    return size is None or len(tail) - start < size


def ogg_page_size(data: bytes, start: int) -> int | None:
    """Return the size in bytes of the Ogg page at *start* in *data*; None if its header is cut off."""
    if start + OGG_HEADER > len(data) or start + OGG_HEADER + data[start + OGG_HEADER - 1] > len(data):
        return None
    segments = data[start + OGG_HEADER - 1]
    return OGG_HEADER + segments + sum(data[start + OGG_HEADER : start + OGG_HEADER + segments])


def _is_text(head: bytes) -> bool:
    """Return whether *head*, the first bytes of a file, is printable UTF-8."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end of the sample is no evidence
            return False
        text = head[: error.start].decode()
    return bool(text.strip()) and all(character.isprintable() or character.isspace() for character in text)
