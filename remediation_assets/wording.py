"""Words of sentences that people read, wherever they read them."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun in the right form, such as `1 row` and `2 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
