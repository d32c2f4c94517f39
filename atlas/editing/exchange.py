"""Edit sets of others, both ways: request JSON of ROME (CounterFact) and EasyEdit, layouts of zsRE, MzsRE, BMIKE-53.

Read, a request becomes a fact with a template (`facts.csv`, `templates.csv`, which `atlas build --dataset` takes) and a
line of `edits.csv`, which `atlas edit --batch` takes. Never imports torch.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import atlas
from atlas import outputs
from atlas.editing.requests import Target, read_requests, understand
from atlas.errors import DataError
from atlas.facts import OBJECT, SUBJECT, Prompt
from atlas.facts.reading import files, texts
from atlas.facts.reading.texts import LineError
from atlas.ids import stable_id
from atlas.matching import language_code, option
from atlas.store.naming import understood
from atlas.store.stored import Prompts, stored_facts

STYLES = ("rome", "easyedit")


@dataclass(frozen=True, slots=True)
class Wording:
    """A request in one language: templates with [X] and [Y], the first to edit with, and the answers."""

    language: str
    subject: str
    templates: tuple[str, ...]
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Converted:
    """How many edits were written, and how many requests were left out, by reason."""

    edits: int
    skipped: Counter[str] = field(default_factory=Counter)


class SkippedError(Exception):
    """A request that cannot be an edit here; says why."""


def requests_from_json(source: Path, out: Path, *, language: str = "en") -> Converted:
    """Write `facts.csv`, `templates.csv` and `edits.csv` into the folder `out`; DataError for what is no request JSON.

    `language` is that of requests that name none.
    """
    outputs.check_folder(out, "--out")
    skipped: Counter[str] = Counter()
    tables = _Tables()
    count = 0
    for item in _items(source):
        try:
            relation, wordings = _understood(item, language, skipped)
            tables.add(relation, wordings)
            count += 1
        except (SkippedError, LineError) as reason:
            skipped[str(reason)] += 1
    if not count:
        raise DataError(f"{source} holds no request that can be read ({dict(skipped)}); see docs/editing.md.")
    tables.write(out)
    return Converted(count, skipped)


def requests_to_json(db: Path, source: Path, out: Path, *, style: str = "easyedit") -> Converted:
    """Write the edits of the CSV `source`, on facts of the atlas `db`, as request JSON: one request a language.

    Only templates that end in the object can be prompts there. Raises UsageError for an unknown `style`.
    """
    style = option("--style", style, STYLES)
    outputs.check_new(out, "--out")
    found: list[dict[str, Any]] = []
    skipped: Counter[str] = Counter()
    with atlas.open(db) as opened:
        prompts = Prompts(stored_facts(opened))
        for request in read_requests(source):
            target = understand(understood(opened, request), prompts, opened.fact_ids(request.fact))
            for code in target.languages:
                own = [p for p in prompts.of(target.fact, [code]) if p.template.ends_in_object]
                held = [p for p in prompts.of(target.fact, [code], held_out=True) if p.template.ends_in_object]
                if own:
                    found.append(_request(style, len(found), target, code, own, held))
                else:
                    skipped[f"no template in {code} ends in the object"] += 1
    with outputs.whole_file(out, "--out") as part:
        part.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return Converted(len(found), skipped)


def _items(source: Path) -> list[dict[str, Any]]:
    items = files.json_text(source)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{source} is not a list of JSON objects; give a list of requests.")
    return items


def _understood(item: Mapping[str, Any], language: str, skipped: Counter[str]) -> tuple[str, list[Wording]]:
    """Return the relation of a request, as it calls it, and its wordings, whatever its layout.

    Languages and paraphrases of a request that cannot be used are counted in `skipped`.
    """
    try:
        if "requested_rewrite" in item:
            return _rome(item, language, skipped)
        if "prompt" in item or "src" in item:
            wordings = [_question(item, str(item.get("language", language)), str(item["subject"]), skipped)]
        else:
            wordings = list(_by_language(item, skipped))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise SkippedError(f"a field is missing or of another kind: {error}") from error
    if not wordings:
        raise SkippedError("no wording names the subject")
    return str(item.get("relation") or f"R{stable_id('request', wordings[0].templates[0]) % 10**9}"), wordings


def _rome(item: Mapping[str, Any], language: str, skipped: Counter[str]) -> tuple[str, list[Wording]]:
    rewrite = item["requested_rewrite"]
    if isinstance(rewrite, list):
        raise SkippedError("several rewrites in one request")
    subject = str(rewrite["subject"])
    code = str(item.get("language", language))
    asked = rewrite["prompt"]
    first = _template(asked, "{}" if "{}" in asked else subject)
    others = [_template(text, subject) for text in item.get("paraphrase_prompts", ())]
    known = _named([first, *others], skipped)
    answers = (_said(rewrite["target_true"]["str"]), _said(rewrite["target_new"]["str"]))
    return str(rewrite.get("relation_id", "R")), [_tidied(Wording(code, subject, known, *answers), skipped)]


def _question(item: Mapping[str, Any], code: str, subject: str, skipped: Counter[str]) -> Wording:
    """Return the wording of an EasyEdit or zsRE item."""
    others = item.get("rephrase_prompt", item.get("rephrase"))
    asked = [item.get("prompt", item.get("src")), *(others if isinstance(others, list) else [others])]
    known = _named([_template(text, subject) for text in asked if text], skipped)
    old = item.get("ground_truth") or item.get("answers") or item.get("old") or item["pred"]
    new = item.get("target_new", item.get("alt"))
    return _tidied(Wording(code, subject, known, _said(old), _said(new)), skipped)


def _said(answer: object) -> str:
    """Return an answer as text, the first of several, empty where there is none; TypeError for lists of lists."""
    first = next(iter(answer), None) if isinstance(answer, list) else answer
    if isinstance(first, list | dict):
        raise TypeError(f"{type(first).__name__} for an answer")
    return "" if first is None else str(first)


def _named(templates: Sequence[str | None], skipped: Counter[str]) -> tuple[str, ...]:
    """Return the templates that there are; SkippedError if the first is none, other Nones are counted."""
    if not templates or templates[0] is None:
        raise SkippedError("no wording names the subject")
    skipped.update(["a paraphrase does not name the subject once"] * templates.count(None))
    return tuple(dict.fromkeys(text for text in templates if text))


def _tidied(wording: Wording, skipped: Counter[str]) -> Wording:
    """Return a wording as the reader of facts will have it; SkippedError or LineError for what it would refuse.

    Paraphrases that it would refuse are counted.
    """
    subject, old, new = map(texts.object_or_subject, (wording.subject, wording.old, wording.new))
    if not (subject and old and new):
        raise SkippedError("the subject or an answer is empty")
    templates = [texts.template(text) for text in wording.templates]
    faults = [texts.template_fault(text) for text in templates]
    if faults[0]:
        raise SkippedError(faults[0])
    skipped.update(f"a paraphrase: {fault}" for fault in faults if fault)
    kept = tuple(dict.fromkeys(text for text, fault in zip(templates, faults, strict=True) if not fault))
    code = language_code(texts.language(wording.language))
    return Wording(code, texts.key(subject), kept, texts.key(old), new)


def _by_language(item: Mapping[str, Any], skipped: Counter[str]) -> Iterator[Wording]:
    """Yield the wordings of an MzsRE item; languages whose question does not name the subject are counted."""
    parts = {code: part for code, part in item.items() if isinstance(part, dict) and "src" in part}
    subjects = [part["subject"] for part in parts.values() if "subject" in part]
    for code, part in parts.items():
        try:
            yield _question(part, code, str(part.get("subject") or subjects[0]), skipped)
        except (SkippedError, LineError) as reason:
            skipped[f"language {code} of a request: {reason}"] += 1


def _template(text: str, subject: str) -> str | None:
    """Return `text` with [X] for the subject and [Y] at the end, None if it does not name the subject once."""
    return texts.ended(text.rstrip().replace(subject, SUBJECT)) if text.count(subject) == 1 else None


class _Tables:
    """The rows of the three CSV files."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, ...], None] = {}
        self.templates: dict[tuple[str, ...], str] = {}
        self.edits: list[dict[str, str]] = []
        self.relations: dict[str, str] = {}

    def add(self, phrase: str, wordings: Sequence[Wording]) -> None:
        """Add one request: its first template is to edit with, the others are held out."""
        relation = self._relation(phrase)
        key, old = wordings[0].subject, wordings[0].old
        for wording in wordings:
            self.facts[relation, wording.language, wording.subject, wording.old, key, old] = None
            for place, text in enumerate(wording.templates):
                held = "1" if place else "0"
                known = self.templates.get((relation, wording.language, text), "1")
                self.templates[relation, wording.language, text] = min(held, known)
        new = {f"object_{wording.language}": wording.new for wording in wordings}
        languages = " ".join(wording.language for wording in wordings)
        self.edits.append({"fact": key, "relation": relation, "languages": languages, **new})

    def _relation(self, phrase: str) -> str:
        """Return the name of the relation that the requests call `phrase`, another for each phrase."""
        name = texts.relation_from(phrase)
        if self.relations.setdefault(name, phrase) != phrase:
            name = f"{name[:60]}_{stable_id('relation', phrase) % 10**9}"
            self.relations[name] = phrase
        return name

    def write(self, out: Path) -> None:
        with outputs.own_folder(out, "--out") as part:
            self._write(part)

    def _write(self, out: Path) -> None:
        fact = ("relation", "language", "subject", "object", "subject_key", "object_key")
        _write(out / "facts.csv", fact, [dict(zip(fact, row, strict=True)) for row in self.facts])
        template = ("relation", "language", "template", "held_out")
        rows = [dict(zip(template, (*row, held), strict=True)) for row, held in self.templates.items()]
        _write(out / "templates.csv", template, rows)
        names = sorted({name for row in self.edits for name in row if name.startswith("object_")})
        _write(out / "edits.csv", ("fact", "relation", "languages", *names), self.edits)


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _request(
    style: str, case: int, target: Target, code: str, own: Sequence[Prompt], held: Sequence[Prompt]
) -> dict[str, Any]:
    """Return one request: the first template is the prompt, the held-out ones paraphrases."""
    label = target.fact.labels[code]
    prompt, *rest = [text.before.rstrip() for text in (*own[:1], *held, *own[1:])]
    new = target.labels[code]
    if style == "easyedit":
        return {
            "case_id": case,
            "language": code,
            "relation": target.fact.relation,
            "subject": label.subject,
            "prompt": prompt,
            "rephrase_prompt": rest[0] if rest else "",
            "ground_truth": label.object,
            "target_new": new,
            "locality": {},
            "portability": {},
        }
    blank, _, _ = own[0].template.text.partition(OBJECT)
    rewrite = {
        "prompt": blank.rstrip().replace(SUBJECT, "{}", 1).replace(SUBJECT, label.subject),
        "relation_id": target.fact.relation,
        "target_new": {"str": new, "id": target.object},
        "target_true": {"str": label.object, "id": target.fact.object},
        "subject": label.subject,
    }
    return {
        "case_id": case,
        "language": code,
        "requested_rewrite": rewrite,
        "paraphrase_prompts": rest,
        "neighborhood_prompts": [],
    }
