"""What a findings file is as a file: compressed or not, in which encoding; all but plain UTF-8 is copied to that."""

import codecs
import gzip
import re
import shutil
import stat
import zlib
from pathlib import Path

from .errors import FindingsFileError

_CHUNK = 4 * 1024 * 1024
MAX_UNPACKED_BYTES = 16 * 1024**3
"""A small gzip file can hold more than any disk; ten million findings are 2.5 GB."""

GUESSED = "cp1252"
"""What a text is taken for that is not UTF-8 and of which nothing tells its encoding."""

_GZIP = b"\x1f\x8b"
_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OF_UTF_8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


def plain_utf_8(source: Path, folder: Path) -> Path:
    """Give the path of the same text in plain UTF-8: the file itself, or a copy in the folder.

    Raises FindingsFileError where it is no regular file, or cannot be read or decoded.
    """
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise FindingsFileError("The findings file's name is not UTF-8; rename it.") from None
    try:
        # A pipe can be read only once, and opening one without a writer waits for ever.
        if stat.S_ISFIFO(source.stat().st_mode) or source.is_char_device() or source.is_socket():
            raise FindingsFileError(f"{source} is not a regular file; save it as a file and give its path.")
        plain = _unpacked(source, folder)
        encoding = _encoding_of(plain, source)
    except FileNotFoundError:
        raise FindingsFileError(f"{source} does not exist; give the path of a findings file.") from None
    except IsADirectoryError:
        raise FindingsFileError(f"{source} is a folder; give the path of one CSV file.") from None
    except OSError as error:
        raise FindingsFileError(f"{source} cannot be read ({error.strerror}); give a file you may read.") from None
    return plain if encoding is None else recoded(plain, folder, encoding, source)


def recoded(plain: Path, folder: Path, encoding: str, told: Path) -> Path:
    """Copy a text into UTF-8; raises FindingsFileError where it is not in that encoding."""
    copy = folder / "recoded.txt"
    try:
        with plain.open(encoding=encoding, newline="") as text, copy.open("w", encoding="utf-8", newline="") as file:
            shutil.copyfileobj(text, file, _CHUNK)
    except UnicodeError:
        raise FindingsFileError(f"{told} is not text in {encoding}; save it again as CSV in UTF-8.") from None
    return copy


def is_windows_1252(plain: Path) -> bool:
    """Say whether a text that is not UTF-8 is one of Windows: none of its bytes beyond ASCII are as UTF-8 has them.

    A text that has characters of UTF-8 as well was damaged; its bad rows are set aside.
    """
    beyond_ascii = False
    with plain.open("rb") as file:
        while chunk := file.read(_CHUNK):
            # A character that a chunk's end cuts through is only missed.
            if _OF_UTF_8.search(chunk):
                return False
            beyond_ascii = beyond_ascii or _NOT_ASCII.search(chunk) is not None
    return beyond_ascii


def _unpacked(source: Path, folder: Path) -> Path:
    with source.open("rb") as file:
        if file.read(2) != _GZIP:
            return source
    copy = folder / "unpacked.txt"
    try:
        with gzip.open(source, "rb") as packed, copy.open("wb") as target:
            while chunk := packed.read(_CHUNK):
                if target.tell() + len(chunk) > MAX_UNPACKED_BYTES:
                    limit = f"{MAX_UNPACKED_BYTES / 1024**3:.0f} GB"
                    raise FindingsFileError(f"{source} unpacks to more than {limit}; split it into smaller files.")
                target.write(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise FindingsFileError(f"{source} is a gzip file that is broken or cut off; fetch it again.") from None
    return copy


def _encoding_of(plain: Path, told: Path) -> str | None:
    """Give the encoding that the beginning of a file tells; None for UTF-8, with or without its mark."""
    with plain.open("rb") as file:
        head = file.read(64 * 1024)
    for mark, encoding in _BOMS.items():
        if head.startswith(mark):
            return encoding
    # Text has no NUL; UTF-16 without its mark has one in every second place, for ASCII at least.
    for half, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        ours, others = head[half::2], head[1 - half :: 2]
        if ours and ours.count(0) > len(ours) * 0.9 and others.count(0) == 0:
            return encoding
    if head.startswith(b"PK\x03\x04"):
        raise FindingsFileError(f"{told} is a zip archive; unpack it and give the files in it.")
    if b"\0" in head:
        raise FindingsFileError(f"{told} is not a text file; export the findings as CSV or JSON in UTF-8.")
    return None
