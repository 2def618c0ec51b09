"""Compares answers, and the table of differences that are meant: `docs/differences.md`.

A row of the table names requests (a comma list, `*` allowed), the place in the answer (`status`, `type`, `allow`, `body` or a
dotted path below it, `*` allowed; everything below the place is covered), and the reason.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from harness.server import ROOT

TABLE = ROOT / "docs" / "differences.md"


@dataclass(frozen=True)
class Difference:
    """One place where two answers differ."""

    place: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.place}: OpenSearch {shorten(self.theirs)}, Snapkeep {shorten(self.ours)}"


ABSENT = "(absent)"
# What follows is about other servers.
END_OF_TABLE = "<!-- end of differences -->"


def shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 400 else f"{shown[:400]}…"


def compare(theirs: Any, ours: Any, place: str = "") -> list[Difference]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key in theirs | ours:
            found += compare(theirs.get(key, ABSENT), ours.get(key, ABSENT), f"{place}.{key}" if place else key)
        return found
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [difference for number, pair in enumerate(zip(theirs, ours)) for difference in compare(*pair, f"{place}.{number}")]
    # 1 and 1.0 are one number, and True is none.
    same = theirs == ours and isinstance(theirs, bool) == isinstance(ours, bool)
    return [] if same else [Difference(place, theirs, ours)]


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    requests: tuple[str, ...]
    place: str
    reason: str
    line: int

    def covers(self, request: str, difference: Difference) -> bool:
        return any(fnmatchcase(request, pattern) for pattern in self.requests) and (
            fnmatchcase(difference.place, self.place) or fnmatchcase(difference.place, f"{self.place}.*")
        )

    def __str__(self) -> str:
        return f"{TABLE.name}:{self.line} ({', '.join(self.requests)} at {self.place})"


def load_table() -> list[Row]:
    rows = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if line == END_OF_TABLE:
            break
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.startswith("| `"):
            continue
        assert len(cells) == 3 and all(cells), f"{TABLE.name}:{number}: a row is `| requests | place | reason |`"
        requests, place, reason = cells
        names = tuple(name.strip().strip("`") for name in requests.split("`, `"))
        rows.append(Row(names, place.strip("`"), reason, number))
    return rows
