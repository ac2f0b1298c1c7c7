"""Untrusted text, of scanners and of Devin, escaped for the place that shows it, so that it is only text there.

HTML is escaped by the templates of the pages.
"""

import re


def plain(text: object) -> str:
    """Return one line of printable characters, without what would control a terminal."""
    # A blank for each, not nothing: words on both sides of a line break stay apart.
    return "".join(c if c.isprintable() else " " for c in str(text))


def quoted(text: object) -> str:
    """Return untrusted text for the middle of a sentence of ours: one line without backticks, which mark commands."""
    return plain(text).replace("`", "'")


def for_csv(text: object) -> str:
    """Return a value for a cell of CSV that no spreadsheet evaluates as a formula."""
    cell = "" if text is None else str(text)
    # The first characters that start a formula, from OWASP's "CSV Injection". Numbers stay numbers.
    is_number = re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?", cell) is not None
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number else cell


def is_plain_url(url: str) -> bool:
    """Whether a URL can become a link anywhere: https, and no character that is markup in one of the places."""
    # Without "@" before the path, a host cannot hide behind a user name that looks like one.
    return re.fullmatch(r"https://[A-Za-z0-9][A-Za-z0-9.:-]*/[A-Za-z0-9._~/%+?=&#:@,-]*", url) is not None


def for_markdown(text: object) -> str:
    """Escape text for a line or a table cell of Markdown, so that it shows literally."""
    # "<" as an entity, for not every renderer honours a backslash before HTML; and after "&", which would
    # otherwise escape that entity again.
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~:.>-])", r"\\\1", plain(text).replace("&", "&amp;"))
    return escaped.replace("<", "&lt;")


def markdown_link(url: str | None, label: str) -> str:
    """Return a Markdown link, or nothing without a URL that is safe to show."""
    return f"[{for_markdown(label)}](<{url}>)" if url and is_plain_url(url) else ""
