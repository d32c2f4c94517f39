"""Checks and tidying of the words that a source brings: labels, templates, keys and codes, all untrusted.

Labels and templates stay as written, never lower-cased, but for three things that nobody sees: Unicode is
composed (NFC), runs of white space become one space, and invisible marks (soft hyphens, zero-width spaces,
direction marks) go. The joiners U+200C and U+200D stay: Persian and Indic spelling needs them.
"""

import re
import unicodedata

from atlas.facts.facts import OBJECT, SUBJECT
from atlas.matching import CODES, folded

MAX_LABEL = 500
MAX_TEMPLATE = 1000
MAX_KEY = 200
MAX_RELATION = 80

_INVISIBLE = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKER = re.compile(r"\[(?:X|Y|MASK|CLS|SEP|PAD|UNK)\]|<(?:mask|s|/s|pad|unk|\|endoftext\|)>")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}")

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Myanmar, Khmer, kana and Han: letters of scripts written without spaces between words, as a class's."""
_UNSPACED = re.compile(f"[\u3000-\u303f{UNSPACED}]")


class LineError(Exception):
    """What is wrong with one line; whoever reads the file adds its place."""


def tidy(text: str) -> str:
    """Return `text` in NFC, white space collapsed, without invisible marks; `LineError` on control characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    if found := _CONTROL.search(text):
        raise LineError(_name_of(found.group()))
    return unicodedata.normalize("NFC", " ".join(_INVISIBLE.sub("", text).split()))


def label(text: str) -> str:
    """Return a tidied name of a subject or object, which may be empty; `LineError` if it cannot be one."""
    return _bounded(tidy(text), MAX_LABEL, "label")


def object_or_subject(text: str) -> str:
    """Return a label that holds no template's or tokenizer's mark, which may be empty; `LineError` if it does."""
    words = label(text)
    if mark := marker(words):
        raise LineError(f"a label holds the mark {mark}")
    return words


def key(text: str) -> str:
    """Return a tidied key of a subject or object; `LineError` if it is empty or too long."""
    words = _bounded(tidy(text), MAX_KEY, "key")
    if not words:
        raise LineError("a key is empty")
    return words


def template(text: str) -> str:
    """Return a tidied template, which may lack its marks; `LineError` if it is too long."""
    return _bounded(tidy(text), MAX_TEMPLATE, "template")


def ended(text: str) -> str:
    """Return a template with the object at its end where it names none."""
    if OBJECT in text:
        return text
    # The last letter tells, as marks such as a full-width colon are no script's own.
    last = next((c for c in reversed(text.replace(SUBJECT, "")) if c.isalnum()), "")
    return text + ("" if is_unspaced(last) else " ") + OBJECT


def language(text: str) -> str:
    """Return a language's code or English name as the source writes it; `LineError` if it is neither."""
    if not is_language(text):
        raise LineError(f"{shown(text)} is no language code")
    return text


def relation(text: str) -> str:
    """Return a relation's name as the source writes it, in NFC; `LineError` if it could not name a file."""
    name = unicodedata.normalize("NFC", text)
    if not is_relation(name):
        raise LineError(f"{shown(text)} is no relation name: letters, digits, '_', '-' and '.' make one")
    return name


def relation_from(phrase: str) -> str:
    """Return a relation's name made of a phrase, `capital_city` of `capital city`; `LineError` if it has no letters."""
    return relation(joined(tidy(phrase), ".-").strip("_.-")[:MAX_RELATION])


def joined(text: str, besides: str = "") -> str:
    """Return the words of `text` with `_` between them; characters of `besides` are of words too."""
    return "_".join("".join(c if _is_of_word(c) or c in besides else " " for c in text).split())


def is_unspaced(text: str) -> bool:
    """True if `text` has a letter or a mark of a script that puts no space between words."""
    return _UNSPACED.search(text) is not None


def is_language(text: str) -> bool:
    """True if `text` looks like a language code, `en`, `zh-hans`, `be-tarask`, or names a language: `Vietnamese`."""
    return _LANGUAGE.fullmatch(text) is not None or folded(text) in CODES


def is_relation(text: str) -> bool:
    """True if `text` can name a relation, and thus a file: `P36`, `place_of_birth`."""
    whole = 0 < len(text) <= MAX_RELATION and unicodedata.is_normalized("NFC", text)
    return whole and re.match(r"\w", text) is not None and all(_is_of_word(c) or c in ".-" for c in text)


def marker(text: str) -> str | None:
    """Return the first mark in `text` that a template or a tokenizer would take for its own, if any."""
    found = _MARKER.search(text)
    return found.group() if found else None


def template_fault(text: str) -> str | None:
    """Return why `text` cannot be a template, or None: it needs one subject, one object and words."""
    for mark, name in ((SUBJECT, "subject"), (OBJECT, "object")):
        if text.count(mark) != 1:
            return f"template with {'no' if mark not in text else 'more than one'} {name} {mark}"
    words = text.replace(SUBJECT, "").replace(OBJECT, "")
    if other := marker(words):
        return f"template with a model's own mark {other}"
    return None if any(c.isalnum() for c in words) else "template without words"


def shown(text: str, limit: int = 60) -> str:
    """Return `text` quoted for a message: one line, no control characters, at most `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "'" + printable(cut) + "'"


def printable(text: str) -> str:
    """Return `text` with what a terminal should not see spelled out: control and direction characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _is_of_word(character: str) -> bool:
    """True for what words are written with: vowel signs, tone marks and joiners too, which `\\w` is not."""
    return character.isalnum() or character in "_\u200c\u200d" or unicodedata.category(character)[0] == "M"


def _bounded(text: str, limit: int, what: str) -> str:
    if len(text) > limit:
        raise LineError(f"a {what} of {len(text)} characters is longer than {limit}")
    return text


def _name_of(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "it is not valid UTF-8"
    return f"it holds the control character U+{ord(character):04X}"
