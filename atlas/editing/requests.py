"""What is asked of an edit: a fact, a new object with its names, languages, and how. Never imports torch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from atlas.editing import METHODS
from atlas.errors import DataError, UsageError
from atlas.facts import Fact, Label, Prompt
from atlas.facts.reading import files
from atlas.facts.reading.texts import LineError
from atlas.matching import matches
from atlas.running.progress import Progress
from atlas.store.runs import StoredRun, stored_run, stored_runs
from atlas.store.stored import Prompts

if TYPE_CHECKING:
    from atlas.store import Writer

_LISTED = 12
"""Facts that a complaint lists at most."""


def _known(name: str) -> str:
    if name not in METHODS:
        raise PydanticCustomError("method", "the method is one of {among}", {"among": [*METHODS]})
    return name


class EditSettings(BaseModel):
    """The settings of an edit (METHOD 5); equal settings, model, facts and neurons give equal columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_known)] = "fit"
    steps: int = Field(80, ge=1, description="most optimiser steps")
    patience: int = Field(15, ge=1, description="steps without progress after which the fit gives up")
    rate: float = Field(0.2, gt=0, description="step size, as a share of the layer's root-mean-square column entry")
    margin: float = Field(2.0, ge=0, description="log-odds by which the new answer must lead every other token")
    keep_weight: float = Field(100.0, ge=0, description="weight of the divergence on the prompts to be kept")
    keep_facts: int = Field(80, ge=0, description="facts that the fit holds at most, half of the same relation")
    lambda1: float = Field(1.0, description="how much of the old answer's embedding `kn` takes away")
    lambda2: float = Field(8.0, description="how much of the new answer's embedding `kn` adds")
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """As a user writes it: `fact` is an id, a subject's key or name; `object` a key or name, or texts by language."""

    fact: str
    object: str = ""
    objects: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] | None = None
    relation: str | None = None


@dataclass(frozen=True)
class Target:
    """A request understood: the fact, the new object's key, and its name in every language where it is known."""

    fact: Fact
    object: str
    labels: Mapping[str, str]
    languages: tuple[str, ...]

    def asked(self, prompt: Prompt) -> Prompt:
        """Return the prompt with the new object as its answer."""
        label = Label(prompt.label.subject, self.labels[prompt.language])
        fact = Fact(prompt.fact.relation, prompt.fact.subject, self.object, {prompt.language: label})
        return Prompt(fact, prompt.template)


def understand(request: Request, prompts: Prompts, ids: Sequence[int]) -> Target:
    """Return what `request` means, where `ids` are the facts that its subject may stand for.

    Raises UsageError for a subject with several facts of which none is meant clearly, for a new object that is the
    old one, and for languages in which the fact or the new object has no name.
    """
    candidates = [prompts.facts[i] for i in ids if request.relation in (None, prompts.facts[i].relation)]
    meant = [(fact, key, labels) for fact in candidates for key, labels in _named(request, fact, prompts)]
    if not meant and len(candidates) == 1:
        labels = _given(request, candidates[0])
        meant = [(candidates[0], request.object or next(iter(labels.values())), labels)]
    if len({(fact.id, key) for fact, key, _ in meant}) != 1:
        raise UsageError(_unclear(request, candidates, [fact for fact, _, _ in meant]))
    fact, key, labels = meant[0]
    languages = _languages(request, fact, labels)
    if key == fact.object or all(labels[code] == fact.labels[code].object for code in languages):
        raise UsageError(f"The new object {key!r} of {fact} is the old one; name another.")
    return Target(fact, key, labels, languages)


def _named(request: Request, fact: Fact, prompts: Prompts) -> list[tuple[str, dict[str, str]]]:
    """Return the objects of the fact's relation that go by the request's name, with their names by language.

    Those that are written so, else those of that name in any case.
    """
    names: dict[str, dict[str, str]] = {}
    for other in prompts.facts.values():
        if other.relation == fact.relation and request.object:
            names.setdefault(other.object, {}).update({code: label.object for code, label in other.labels.items()})
    written = [key for key, own in names.items() if request.object in (key, *own.values())]
    found = written or matches(request.object, {key: own.values() for key, own in names.items()})
    return [(key, names[key] | dict(request.objects)) for key in found]


def _given(request: Request, fact: Fact) -> dict[str, str]:
    """Return the names given for an object that the atlas does not know: one text serves all languages asked for."""
    if request.objects:
        return dict(request.objects)
    return dict.fromkeys(request.languages or fact.labels, request.object)


def _languages(request: Request, fact: Fact, labels: Mapping[str, str]) -> tuple[str, ...]:
    nameless = [code for code in request.languages or () if code not in fact.labels]
    if nameless:
        raise UsageError(f"{fact} has no name in {', '.join(nameless)}; choose among {', '.join(fact.labels)}.")
    known = [code for code in fact.labels if labels.get(code, "").strip()]
    wanted = request.languages or tuple(known)
    missing = [code for code in wanted if code not in known]
    if missing or not wanted:
        raise UsageError(
            f"The new object {request.object!r} of {fact} has no name in "
            f"{', '.join(missing) or 'any language'}; choose among {', '.join(known) or 'none'}."
        )
    return tuple(wanted)


def _unclear(request: Request, candidates: Sequence[Fact], meant: Sequence[Fact]) -> str:
    facts = ", ".join(sorted(map(str, meant or candidates))[:_LISTED])
    if not candidates:
        return f"{request.fact!r} has no fact of relation {request.relation!r}; `atlas facts` lists them."
    return (
        f"{request.fact!r} has several facts ({facts}) and {request.object!r} is not the object of exactly one of "
        f"their relations; name one with --relation, or a fact's id."
    )


def run_to_edit(
    writer: "Writer", model: str | None, asked: Mapping[str, Any], folder: Path, progress: Progress
) -> StoredRun:
    """Return the run of `model` and what else is `asked` that is meant, as `stored_run` has it.

    A model that holds an edit whose file lies in `folder` is meant only if it or its run is named, which is told.
    Raises UsageError if there is no other.
    """
    from atlas.editing.files import edited_digests

    edits = edited_digests(folder)
    run = stored_run(writer, model=model, **asked)
    if run.digest not in edits:
        return run
    holds = f"{run.name} holds edit {edits[run.digest]} already"
    if model is not None or asked["run"] is not None:
        progress.warn(f"{holds}; what is edited now comes on top of it")
        return run
    progress.warn(f"{holds} and is passed over; --model names it")
    return _of_unedited(writer, asked, edits, holds)


def _of_unedited(writer: "Writer", asked: Mapping[str, Any], edits: Collection[str], holds: str) -> StoredRun:
    """Return the run that is meant of those of models without edits; raises UsageError if there is none."""
    held = {each.model for each in stored_runs(writer, lambda each: each.digest in edits)}
    try:
        return stored_run(writer, **asked, without=held)
    except UsageError as error:
        raise UsageError(
            f"{holds}, and {writer.path} has a run of no other model; name it with --model to edit it once more."
        ) from error


def read_requests(path: Path, languages: tuple[str, ...] | None = None) -> list[Request]:
    """Read edits from a CSV with columns fact, object and, if wanted, relation, languages (`en zh`) and `object_<code>`
    for the new object's name in a language. `languages` serve rows that name none. Raises DataError.
    """
    try:
        table = files.table(path).checked()
        if missing := {"fact"} - {*table.columns}:
            raise DataError(f"{files.name(path)} has no column {', '.join(missing)}; give columns fact and object.")
        rows = [(number, _cells(table, number, line)) for number, line in table.lines()]
    except OSError as error:
        raise DataError(
            f"{files.name(path)} cannot be read as edits: {error.strerror}; give a CSV with columns fact, object."
        ) from error
    if not rows:
        raise DataError(f"{path} holds no edits; give a header with fact and object, and a line for each edit.")
    return [_request(path, line, row, languages) for line, row in rows]


def _cells(table: files.Table, number: int, line: bytes) -> dict[str, str]:
    """Return the cells of a line; of `object_<code>` the code stays as it is written, as a complaint names it."""
    with files.at(table.path, number):
        row, more = table.loose_row(line)
        if more:
            raise LineError("it has more cells than the header")
    return {
        f"object_{own[len('object_') :]}" if plain.startswith("object_") else plain: row[plain].strip()
        for own, plain in zip(table.header, table.columns, strict=True)
    }


def _request(path: Path, line: int, value: Mapping[str, str], languages: tuple[str, ...] | None) -> Request:
    objects = {key.removeprefix("object_"): text for key, text in value.items() if key.startswith("object_") and text}
    if not value.get("fact") or not (value.get("object") or objects):
        column = "object" if value.get("fact") else "fact"
        raise DataError(f"{path}, line {line}: an edit needs a fact and an object (column {column}).")
    own = tuple(value.get("languages", "").replace(",", " ").split()) or languages
    return Request(value["fact"], value.get("object", ""), objects, own, value.get("relation") or None)
