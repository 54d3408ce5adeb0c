"""What a file is, by its first and last bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrlab.audio.stream import ByteStream


_HEAD_BYTES = 512
_LONGEST_OGG_PAGE = 65_307  # 27 bytes of header, 255 of lacing, 255 * 255 of data
_OGG_HEADER = 27

_TEXTS = (
    (rb"<!doctype html|<html|<head|<body", "an HTML page, perhaps an error page of the server it came from"),
    (rb"<\?xml|<svg", "an XML document"),
    (rb"version https://git-lfs", "a Git LFS pointer; fetch the real file with 'git lfs pull'"),
    (rb"#EXTM3U|#EXTINF|\[playlist\]|ffconcat", "a playlist, which names audio but holds none"),
    (rb"[{\[]", "JSON"),
)
_MAGICS = (
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
    """Whether *stream* starts like MPEG audio (MP3, or AAC in ADTS): an ID3 tag or a frame's sync bits."""
    head = stream.read_at(0, 3)
    return head == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)


def ends_within_ogg_page(stream: ByteStream) -> bool:
    """Whether *stream* is an Ogg whose last page is incomplete: it was cut off."""
    if stream.read_at(0, 4) != b"OggS":
        return False
    tail = stream.read_at(max(0, stream.size - _LONGEST_OGG_PAGE), _LONGEST_OGG_PAGE)
    page = tail[tail.rfind(b"OggS\x00") :] if b"OggS\x00" in tail else b""
    if len(page) < _OGG_HEADER:
        return True
    segments = page[_OGG_HEADER - 1]
    lacing = page[_OGG_HEADER : _OGG_HEADER + segments]
    return len(page) < _OGG_HEADER + segments + sum(lacing)


def non_audio_reason(stream: ByteStream) -> str:
    """What *stream* is, in words, where it surely is no audio; else empty. FFmpeg would take a web page for AMR."""
    head = stream.read_at(0, _HEAD_BYTES)
    for magic, what in _MAGICS:
        if head.startswith(magic):
            return what
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for pattern, what in _TEXTS:
        if re.match(pattern, start, re.IGNORECASE) and (what != "JSON" or _is_text(head)):
            return what
    return ""


def describe_content(stream: ByteStream) -> str:
    """What the content of *stream* resembles, in words; empty where that is unknown."""
    head = stream.read_at(0, _HEAD_BYTES)
    if what := non_audio_reason(stream):
        return what
    if head[4:8] == b"ftyp":
        return "an MP4 file without its index, which happens when copying or recording is cut off; copy it again"
    if ends_within_ogg_page(stream):
        return "an Ogg file that was cut off before its first samples; copy it again"
    return "text" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end of the sample is no evidence
            return False
        text = head[: error.start].decode()
    return bool(text.strip()) and all(character.isprintable() or character.isspace() for character in text)
