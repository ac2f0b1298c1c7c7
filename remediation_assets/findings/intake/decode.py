"""Decode a findings file: unpack it if it is compressed, decide its encoding, and keep its text in plain UTF-8.

The encoding is decided here and nowhere else. What the text means is not known here.
"""

import codecs
import gzip
import re
import shutil
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from remediation_assets.findings.errors import FindingsFileError

_CHUNK = 4 * 1024 * 1024
MAX_UNPACKED_BYTES = 16 * 1024**3
"""A small gzip file can hold more than any disk; ten million findings are 2.5 GB."""

FALLBACK_ENCODING = "cp1252"
"""The encoding assumed for text that is not UTF-8 and does not show which other encoding it has."""

JSON_BEGINNINGS = ("{", "[")
MARKUP_BEGINNING = "<"
"""The first characters of text that is meant as JSON."""

_GZIP = b"\x1f\x8b"
# UTF-32 comes first, because its little-endian mark begins with that of UTF-16.
_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UTF_8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


@dataclass(frozen=True)
class FileVersion:
    """The properties of a file that change when the file is replaced or written to."""

    inode: int
    modified_ns: int
    size: int


@dataclass(frozen=True)
class SourceText:
    """A findings file and its text in plain UTF-8; every later step of the intake works on this value."""

    source: Path
    """The file that was given, which messages name."""

    path: Path
    """The same text in UTF-8, with or without a byte order mark: the file itself, or a copy."""

    encoding: str
    """The encoding that the file was written in."""

    encoding_guessed: bool
    """Whether nothing in the file shows that encoding."""

    version: FileVersion
    """The file's version before anything of it was read."""

    def open(self, *, errors: str = "replace", newline: str | None = "") -> TextIO:
        """Open the text without its byte order mark, by default with its line breaks as they are."""
        return self.path.open(encoding="utf-8-sig", errors=errors, newline=newline)

    @property
    def beginning(self) -> str:
        """The first characters, without leading blanks."""
        return _beginning(self.path)


def decode(source: Path, folder: Path) -> SourceText:
    """Return the text of a findings file; if the text needs a copy, the copy is written to the folder.

    Raise FindingsFileError if the file is not a regular file, or cannot be read or decoded.
    """
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise FindingsFileError("The findings file's name is not UTF-8; rename it.") from None
    try:
        # A pipe can be read only once, and opening one blocks until somebody writes to it.
        if stat.S_ISFIFO(source.stat().st_mode) or source.is_char_device() or source.is_socket():
            raise FindingsFileError(f"{source} is not a regular file; save it as a file and give its path.")
        # Before the first byte is read: a change during any of the steps is then noticed.
        version = version_of(source)
        unpacked = _unpack(source, folder)
        encoding = _encoding_shown(unpacked, source)
        guessed = encoding is None and _is_windows_1252(unpacked)
    except FileNotFoundError:
        raise FindingsFileError(f"{source} does not exist; give the path of a findings file.") from None
    except IsADirectoryError:
        raise FindingsFileError(f"{source} is a folder; give the path of one CSV file.") from None
    except OSError as error:
        raise FindingsFileError(f"{source} cannot be read ({error.strerror}); give a file you may read.") from None
    if encoding is None and not guessed:
        return SourceText(source, unpacked, "utf-8", encoding_guessed=False, version=version)
    encoding = encoding or FALLBACK_ENCODING
    return SourceText(source, _recode(unpacked, folder, encoding, source), encoding, guessed, version)


def log_before_json(beginning: str) -> str | None:
    """Return the lines before the JSON in a text's beginning; None if there are none or the text is a table."""
    found = re.match(r"(?s)(?:(?![\[{])[^\n]*\n)+(?=\s*(?:\{|\[\s*\{))", beginning)
    return found[0] if found and "severity" not in beginning.partition("\n")[0].lower() else None


def version_of(source: Path) -> FileVersion:
    """Return the version of a file as it is now."""
    found = source.stat()
    return FileVersion(found.st_ino, found.st_mtime_ns, found.st_size)


def _unpack(source: Path, folder: Path) -> Path:
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


def _recode(path: Path, folder: Path, encoding: str, display_path: Path) -> Path:
    """Copy a text into UTF-8; raise FindingsFileError if it is not in that encoding."""
    copy = folder / "recoded.txt"
    try:
        with path.open(encoding=encoding, newline="") as text, copy.open("w", encoding="utf-8", newline="") as file:
            shutil.copyfileobj(text, file, _CHUNK)
    except UnicodeError:
        raise FindingsFileError(f"{display_path} is not text in {encoding}; save it again as CSV in UTF-8.") from None
    return copy


def _encoding_shown(path: Path, display_path: Path) -> str | None:
    """Return the encoding that a file's first bytes show; None for UTF-8 and any encoding without zero bytes."""
    with path.open("rb") as file:
        head = file.read(64 * 1024)
    for mark, encoding in _BOMS.items():
        if head.startswith(mark):
            return encoding
    # Text has no NUL; UTF-16 without its mark has one in every second place, at least for ASCII.
    for half, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        ours, others = head[half::2], head[1 - half :: 2]
        if ours and ours.count(0) > len(ours) * 0.9 and others.count(0) == 0:
            return encoding
    if head.startswith(b"PK\x03\x04"):
        raise FindingsFileError(f"{display_path} is a zip archive; unpack it and give the files in it.")
    if b"\0" in head:
        raise FindingsFileError(f"{display_path} is not a text file; export the findings as CSV or JSON in UTF-8.")
    return None


def _is_windows_1252(path: Path) -> bool:
    """Whether a text has bytes beyond ASCII, and none of them form a character of UTF-8.

    A text that has UTF-8 characters as well is damaged UTF-8; its bad rows are rejected. JSON is UTF-8 by its
    standard (RFC 8259, section 8.1), so it is never taken for Windows text. Nor is a web page or a log:
    neither can be read, and the error must say what the file is, not how it is encoded.
    """
    beginning = _beginning(path)
    if beginning[:1] in (*JSON_BEGINNINGS, MARKUP_BEGINNING) or log_before_json(beginning):
        return False
    beyond_ascii = False
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            # Most files are ASCII throughout, or have a UTF-8 character early on: the search costs next to nothing.
            if chunk.isascii():
                continue
            # A character that the end of a chunk cuts in two is missed, which only matters if it is the only one.
            if _UTF_8_CHARACTER.search(chunk):
                return False
            beyond_ascii = True
    return beyond_ascii


def _beginning(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(4096).lstrip()
