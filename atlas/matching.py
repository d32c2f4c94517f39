"""Names that people type, matched with what there is: in any case, with the nearest where there is none."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from numbers import Integral, Real
from typing import Any

from atlas.errors import UsageError
from atlas.ids import Neuron, named_neuron

LISTED = 12
"""Names that a complaint lists at most."""
LANGUAGES = {
    "aa": "Afar", "ab": "Abkhazian", "af": "Afrikaans", "ak": "Akan", "am": "Amharic", "an": "Aragonese",
    "ar": "Arabic", "as": "Assamese", "ast": "Asturian", "av": "Avaric", "ay": "Aymara", "az": "Azerbaijani",
    "azb": "South Azerbaijani", "ba": "Bashkir", "bar": "Bavarian", "be": "Belarusian", "bg": "Bulgarian",
    "bi": "Bislama", "bm": "Bambara", "bn": "Bengali", "bo": "Tibetan", "bpy": "Bishnupriya", "br": "Breton",
    "bs": "Bosnian", "ca": "Catalan", "ce": "Chechen", "ceb": "Cebuano", "ch": "Chamorro", "ckb": "Central Kurdish",
    "co": "Corsican", "cr": "Cree", "cs": "Czech", "cu": "Church Slavic", "cv": "Chuvash", "cy": "Welsh",
    "da": "Danish", "de": "German", "dv": "Divehi", "dz": "Dzongkha", "ee": "Ewe", "el": "Greek", "en": "English",
    "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "ff": "Fula",
    "fi": "Finnish", "fil": "Filipino", "fj": "Fijian", "fo": "Faroese", "fr": "French", "fy": "Western Frisian",
    "ga": "Irish", "gd": "Scottish Gaelic", "gl": "Galician", "gn": "Guarani", "gu": "Gujarati", "gv": "Manx",
    "ha": "Hausa", "he": "Hebrew", "hi": "Hindi", "ho": "Hiri Motu", "hr": "Croatian", "ht": "Haitian Creole",
    "hu": "Hungarian", "hy": "Armenian", "hz": "Herero", "ia": "Interlingua", "id": "Indonesian", "ie": "Interlingue",
    "ig": "Igbo", "ii": "Sichuan Yi", "ik": "Inupiaq", "io": "Ido", "is": "Icelandic", "it": "Italian",
    "iu": "Inuktitut", "ja": "Japanese", "jv": "Javanese", "ka": "Georgian", "kg": "Kongo", "ki": "Kikuyu",
    "kj": "Kuanyama", "kk": "Kazakh", "kl": "Kalaallisut", "km": "Khmer", "kn": "Kannada", "ko": "Korean",
    "kr": "Kanuri", "ks": "Kashmiri", "ku": "Kurdish", "kv": "Komi", "kw": "Cornish", "ky": "Kyrgyz", "la": "Latin",
    "lah": "Western Panjabi", "lb": "Luxembourgish", "lg": "Ganda", "li": "Limburgish", "lmo": "Lombard",
    "ln": "Lingala", "lo": "Lao", "lt": "Lithuanian", "lu": "Luba-Katanga", "lv": "Latvian", "mg": "Malagasy",
    "mh": "Marshallese", "mi": "Maori", "min": "Minangkabau", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "na": "Nauru", "nb": "Norwegian Bokmål",
    "nd": "North Ndebele", "nds": "Low German", "ne": "Nepali", "new": "Newari", "ng": "Ndonga", "nl": "Dutch",
    "nn": "Norwegian Nynorsk", "no": "Norwegian", "nr": "South Ndebele", "nv": "Navajo", "ny": "Nyanja",
    "oc": "Occitan", "oj": "Ojibwa", "om": "Oromo", "or": "Odia", "os": "Ossetic", "pa": "Punjabi", "pi": "Pali",
    "pl": "Polish", "pms": "Piedmontese", "ps": "Pashto", "pt": "Portuguese", "qu": "Quechua", "rm": "Romansh",
    "rn": "Rundi", "ro": "Romanian", "ru": "Russian", "rw": "Kinyarwanda", "sa": "Sanskrit", "sc": "Sardinian",
    "scn": "Sicilian", "sco": "Scots", "sd": "Sindhi", "se": "Northern Sami", "sg": "Sango", "si": "Sinhala",
    "sk": "Slovak", "sl": "Slovenian", "sm": "Samoan", "sn": "Shona", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "ss": "Swati", "st": "Southern Sotho", "su": "Sundanese", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil",
    "te": "Telugu", "tg": "Tajik", "th": "Thai", "ti": "Tigrinya", "tk": "Turkmen", "tn": "Tswana", "to": "Tongan",
    "tr": "Turkish", "ts": "Tsonga", "tt": "Tatar", "ty": "Tahitian", "ug": "Uyghur", "uk": "Ukrainian", "ur": "Urdu",
    "uz": "Uzbek", "ve": "Venda", "vi": "Vietnamese", "vo": "Volapük", "wa": "Walloon", "war": "Waray", "wo": "Wolof",
    "xh": "Xhosa", "yi": "Yiddish", "yo": "Yoruba", "za": "Zhuang", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip
"""What the languages of ISO 639-1 and of mBERT are called in English, by the first part of their code."""


def folded(name: str) -> str:
    """Return `name` as it is compared: without regard to case, to how letters are composed and to outer spaces."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


ALSO_CALLED = {"farsi": "fa", "tagalog": "fil"}
"""The codes of languages that have a second English name, by that."""
CODES = {folded(name): code for code, name in LANGUAGES.items()} | ALSO_CALLED
"""The codes of languages by their English names, folded."""


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


def option(name: str, word: str, allowed: Iterable[str]) -> str:
    """Return which of the `allowed` values of an option is meant, in any case; raises UsageError."""
    known = tuple(allowed)
    found = matches(word, known)
    if found:
        return found[0]
    near = nearest(word, known, 1)
    hint = f"did you mean {near[0]}? It takes" if near else "choose"
    raise UsageError(f"{name} cannot be {word!r}: {hint} {', '.join(known[:-1])} or {known[-1]}.")


def names(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names of a text that parts them by commas, or of a list; None for None."""
    if given is None:
        return None
    return tuple(name.strip() for name in (given.split(",") if isinstance(given, str) else given) if name.strip())


def check_whole(name: str, number: object, least: int = 0, most: int | None = None) -> None:
    """Raise UsageError unless a number, None if it is not given, is a whole one from `least` to `most`."""
    if number is None:
        return
    if not isinstance(number, Integral):
        raise UsageError(f"{name} cannot be {number!r}: give a whole number.")
    if int(number) < least or (most is not None and int(number) > most):
        bounds = f"{least:,} or more" if most is None else f"a number from {least:,} to {most:,}"
        raise UsageError(f"{name} cannot be {number!r}: give {bounds}.")


def check_share(name: str, number: object) -> None:
    """Raise UsageError unless a number, None if it is not given, is a share."""
    if not (number is None or (isinstance(number, Real) and 0 <= float(number) <= 1)):
        raise UsageError(f"{name} cannot be {number!r}: give a number from 0 to 1.")


def language(word: str, known: Iterable[str], of: str = "") -> str:
    """Return the one of the `known` language codes that `word` names: the code in any spelling, or its English name.

    `zh`, `zh-hans`, `zho_Hans`, `zh_cn` and `Chinese` are one language, and so are `fa`, `Persian` and `Farsi`. Raises
    UsageError as `one_of` does.
    """
    names = {code: (language_name(code),) for code in known}
    if not matches(word, names):
        wanted = language_tag(language_code(word))
        same = [code for code in names if language_tag(code) == wanted]
        if len(same) == 1:
            return same[0]
    return one_of("language", word, names, of)


def languages(words: Collection[str] | None, known: Collection[str], of: str = "") -> tuple[str, ...] | None:
    """Return those of the `known` language codes that `words` name, None for None; see `language`."""
    return None if words is None else tuple(dict.fromkeys(language(word, known, of) for word in words))


@cache
def language_tag(code: str) -> str:
    """Return what all spellings of a language's code have in common, with its script and region: `zh-Hans-CN`."""
    try:
        return str(_standard(code.strip()).maximize().to_tag())
    except ValueError:
        return folded(code)


@cache
def language_code(spelling: str) -> str:
    """Return the shortest code of the language that `spelling` is a code of: `zh` for `zh-hans`, `zho_Hans`, `zh_cn`.

    So are `ar`, `ko` and `es` for `arb_Arab` and `kor_Hang` (FLORES) and `es_XX` (mBART), and `zh` for its English name
    `Chinese`. `zh-Hant` and `en-GB` are languages of their own; what is no code that langcodes knows stays as it is.
    """
    if spelling in LANGUAGES:
        return spelling
    if code := CODES.get(folded(spelling)):
        return code
    from langcodes import Language  # slow to import, and most codes are written as they are known

    try:
        own = _standard(spelling)
        whole = own.maximize()
    except ValueError:
        return spelling
    for part in ("script", "territory"):
        for short in (Language.make(whole.language), Language.make(whole.language, **{part: getattr(whole, part)})):
            if short.maximize() == whole:
                return str(short.to_tag())
    return str(own.to_tag())


def _standard(code: str) -> Any:
    """Return what langcodes reads in a code, as the larger language that Unicode has for it; ValueError if nothing."""
    from langcodes import Language  # slow to import, and most codes are written as they are known

    return Language.get(_IDLE.sub("", code)).prefer_macrolanguage()


_IDLE = re.compile(r"(?<=^ko)[-_]Hang|(?<=^kor)[-_]Hang|[-_]XX$", re.IGNORECASE)
"""Parts of codes that say nothing: Korean's letters beside its Han, and no region."""


def language_name(code: str) -> str:
    """Return the English name of a code, with its script or region as written; the code itself if unknown."""
    base, _, rest = code.partition("-")
    name = LANGUAGES.get(base, base)
    return f"{name} ({rest})" if rest else name


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
