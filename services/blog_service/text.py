"""Words out of what people typed: slugs of categories, and queries for the full-text search."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_SLUG = 60
MAX_SEARCH_WORDS = 8

# The same blocks as in blog.cjk_pairs() of the migration.
_CJK = "\u1100-\u11ff\u3041-\u30ff\u3131-\u318e\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_CJK_RUN = re.compile(f"[{_CJK}]+")
# The same separators as in blog.search_vector().
_SEPARATORS = re.compile("[\u0001-\u002f:-@\\[-`{-\u00a0\u2000-\u206f\u3000-\u303f]+")


def squeeze(text: str) -> str:
    """`text` as one line: composed (NFC), without surrounding space, each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def slugify(name: str, taken: Collection[str] = ()) -> str:
    """A slug for a category's name that is not in `taken`: `C` and `C++` become `c` and `c-2`.

    Letters and digits of every script stay, so that Korean names keep readable addresses.
    """
    normalized = unicodedata.normalize("NFKC", name).lower()
    base = re.sub(r"[\W_]+", "-", normalized).strip("-")[:MAX_SLUG].strip("-") or "category"
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


@dataclass(frozen=True, slots=True)
class SearchWord:
    """One word of a search.

    Parameters:
        lexemes: a tsquery of lexemes that the index must hold, to be cast as it is.
        stem: the word for the English dictionary, an alternative to `lexemes`; empty where there is none.
        substring: an ILIKE pattern that a hit must match besides, as pairs of characters can stand apart and
            punctuation (C++) is not indexed; empty where the lexemes say it all.
    """

    lexemes: str
    stem: str
    substring: str


def search_words(query: str) -> list[SearchWord]:
    """The words of a search; a hit has all of them. Empty when nothing in the query can be searched for."""
    words = []
    for written in unicodedata.normalize("NFC", query).lower().split()[:MAX_SEARCH_WORDS]:
        parts = _SEPARATORS.sub(" ", written).split()
        if not parts:
            continue
        lexemes = [lexeme for part in parts for lexeme in _lexemes(part)]
        cjk = _CJK_RUN.search(written) is not None
        exact = cjk or parts != [written]
        words.append(
            SearchWord(
                lexemes=" & ".join(lexemes),
                stem="" if exact else written,
                substring=f"%{_escape_like(written)}%" if exact else "",
            )
        )
    return words


def _lexemes(part: str) -> list[str]:
    """What the index holds of one unbroken word: pairs of CJK characters, the beginning of anything else."""
    lexemes = []
    for run in _CJK_RUN.findall(part):
        lexemes += [_quote(run[i : i + 2]) for i in range(len(run) - 1)] or [f"{_quote(run)}:*"]
    if not lexemes:
        lexemes.append(f"{_quote(part)}:*")
    return lexemes


def _quote(lexeme: str) -> str:
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


def _escape_like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
