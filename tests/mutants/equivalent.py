"""What mutmut changes without consequence: by reason, where it is, the old text and the new."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """A change of the code, as mutmut's name and diff tell it."""

    where: str
    old: str
    new: str


EQUIVALENT: dict[str, list[Change]] = {}
