"""Showing text that scanners and Devin wrote: escaped for the place where it ends, so that none of it acts there."""

import re


def plain(text: object) -> str:
    """Make one line of printable characters, dropping what a terminal would take as an order."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def for_csv(text: object) -> str:
    """Write a value for a cell of CSV so that no spreadsheet takes it as a formula."""
    told = "" if text is None else str(text)
    is_number = re.fullmatch(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?", told) is not None
    return f"'{told}" if told.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number else told


def is_plain_url(url: str) -> bool:
    """Say whether a URL can be shown as a link anywhere: https, and no character that is markup somewhere."""
    return re.fullmatch(r"https://[A-Za-z0-9][A-Za-z0-9.:-]*/[A-Za-z0-9._~/%+?=&#:@,-]*", url) is not None


def for_markdown(text: object) -> str:
    """Escape for a line or a table cell of Markdown: what could be markup is written as what it looks like."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~:.>-])", r"\\\1", plain(text).replace("&", "&amp;"))
    return escaped.replace("<", "&lt;")


def markdown_link(url: str | None, label: str) -> str:
    """Make a link in Markdown, or nothing where there is no URL that can be one."""
    return f"[{for_markdown(label)}](<{url}>)" if url and is_plain_url(url) else ""
