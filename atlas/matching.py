"""Names that people type, matched with what there is: in any case, with the nearest where there is none."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from atlas.errors import UsageError
from atlas.ids import Neuron, named_neuron

LISTED = 12
"""Names that a complaint lists at most."""


def folded(name: str) -> str:
    """Return `name` as it is compared: without regard to case, to how letters are composed and to outer spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def matches(word: str, known: Iterable[str] | Mapping[str, Collection[str]]) -> list[str]:
    """Return which of `known` are meant by `word`: itself as written, else those of that name in any case.

    A mapping gives each its further names.
    """
    if word in known:
        return [word]
    names = known if isinstance(known, Mapping) else dict.fromkeys(known, ())
    wanted = folded(word)
    return [own for own, others in names.items() if wanted in map(folded, (own, *others))]


def nearest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the names that are spelled most like `word`, the nearest first."""
    by_fold: dict[str, str] = {}
    for name in known:
        by_fold.setdefault(folded(name), name)
    wanted = folded(word)
    close = get_close_matches(wanted, by_fold, n=most, cutoff=0.6)
    close += [name for name in by_fold if len(wanted) > 2 and wanted in name and name not in close]
    return [by_fold[name] for name in close[:most]]


def one_of(what: str, word: str, known: Iterable[str] | Mapping[str, Collection[str]], of: str = "") -> str:
    """Return the one of `known` that `word` names; `what` and `of` say what it is and where, in a complaint.

    Raises UsageError that lists the candidates if there are several, and the nearest names if there is none.
    """
    names = known if isinstance(known, Mapping) else dict.fromkeys(known, ())
    found = matches(word, names)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{word!r} names several {what}s{of}: {', '.join(found)}; name one of them.")
    raise UsageError(unknown(what, word, names, of))


def some_of(
    what: str, words: Collection[str] | None, known: Iterable[str] | Mapping[str, Collection[str]], of: str = ""
) -> tuple[str, ...] | None:
    """Return those of `known` that `words` name, None for None; raises UsageError as `one_of` does."""
    return None if words is None else tuple(dict.fromkeys(one_of(what, word, known, of) for word in words))


def unknown(what: str, word: str, known: Mapping[str, Collection[str]], of: str = "") -> str:
    """Return the complaint about a name that nothing has."""
    everything = [name for own, others in known.items() for name in (own, *others)]
    near = nearest(word, everything)
    if near:
        return f"There is no {what} {word!r}{of}; did you mean {' or '.join(near)}?"
    some = ", ".join(sorted(known)[:LISTED]) or "none"
    more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    return (
        f"There is no {what} {word!r}{of}; it has {some}{more}."
        if of
        else (f"There is no {what} {word!r}; choose among {some}{more}.")
    )


def parse_neuron(text: str) -> Neuron:
    """Return the neuron that `text` names; raises UsageError for anything but `L3.486`."""
    found = named_neuron(text)
    if found is None:
        raise UsageError(f"{text!r} is no neuron: write L3.486 for neuron 486 of layer 3, both counted from 0.")
    return found
