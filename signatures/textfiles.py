"""Bytes of files as text: which are none, and in which encoding the others are."""

from __future__ import annotations

import codecs

_SNIFFED_BYTES = 8192
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def unfit(data: bytes) -> str:
    """Why the bytes are not a text, as one word, or nothing."""
    if not data:
        return "empty"
    head = data[:_SNIFFED_BYTES]
    is_binary = head.startswith(b"%PDF-") or (b"\0" in head and not head.startswith(_UTF16_MARKS))
    return "binary" if is_binary else ""


def decoded(data: bytes) -> tuple[str, str]:
    """The text, and the encoding that it was meant to be in where some of it was not; else nothing.

    What could not be decoded reads as U+FFFD.
    """
    encoding = "utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig"
    try:
        return data.decode(encoding), ""
    except UnicodeDecodeError:
        return data.decode(encoding, errors="replace"), encoding.removesuffix("-sig").upper()
