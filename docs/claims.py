"""What a page says in words, held against what its cells have computed.

A claim stands in a cell whose input is not shown, and shows nothing while it holds. When it no
longer does, because a seed was changed or the program, the page says so itself, and the build
ends with a warning, which is an error: the page is there, with its new numbers, for its words
to be corrected.
"""

import sys


def claim(words: str, holds: object) -> None:
    """Complain on the page, and to the build, unless it holds."""
    if not holds:
        print(f"This page says that {words}. It is not so any more.", file=sys.stderr)
