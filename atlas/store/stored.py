"""What evaluation and editing ask an atlas: its facts and templates, a run and its model. Never imports torch."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas.errors import UsageError
from atlas.facts import Fact, FactSet, Label, Prompt, Template
from atlas.schema import usable

if TYPE_CHECKING:
    from atlas.store.reader import Reader


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with what is needed to go on with it: its model's name and digest, its method and settings."""

    run: int
    method: str
    model: int
    name: str
    digest: str
    revision: str | None
    dtype: str


class Prompts:
    """The prompts of an atlas's facts: by fact and, if asked, by language."""

    def __init__(self, facts: FactSet) -> None:
        self.facts: Mapping[int, Fact] = {fact.id: fact for fact in facts.facts}
        self._templates: dict[tuple[str, bool], list[Template]] = defaultdict(list)
        for template in facts.templates:
            self._templates[template.relation, template.held_out].append(template)

    def of(self, fact: Fact, languages: Iterable[str] | None = None, *, held_out: bool = False) -> list[Prompt]:
        """Return the prompts of a fact in `languages`, all if None."""
        wanted = fact.labels.keys() if languages is None else set(languages) & fact.labels.keys()
        return [Prompt(fact, t) for t in self._templates[fact.relation, held_out] if t.language in wanted]


def stored_facts(atlas: "Reader") -> FactSet:
    """Return all facts and templates of an atlas, in the order of their ids."""
    labels: dict[int, dict[str, Label]] = defaultdict(dict)
    for row in atlas.sql("FROM fact_label ORDER BY fact, language").to_pylist():
        labels[row["fact"]][row["language"]] = Label(row["subject"], row["object"])
    facts = [
        Fact(row["relation"], row["subject"], row["object"], labels[row["fact"]])
        for row in atlas.sql("FROM fact ORDER BY fact").to_pylist()
    ]
    templates = [Template(**row) for row in atlas.sql(_TEMPLATES).to_pylist()]
    return FactSet(str(atlas.path), facts, templates)


def stored_run(
    atlas: "Reader", *, model: str | None = None, run: int | None = None, method: str | None = None
) -> StoredRun:
    """Return the newest run that holds usable prompts, of `model` (a name) and `method` if given, or `run` itself.

    Raises UsageError if there is none.
    """
    found: list[dict[str, Any]] = atlas.sql(_RUNS, {"model": model, "run": run, "method": method}).to_pylist()
    if not found:
        wanted = {"model": model, "run": run, "method": method}
        asked = ", ".join(f"{name} {value}" for name, value in wanted.items() if value is not None)
        raise UsageError(
            f"{atlas.path} holds no run with usable prompts{' of ' + asked if asked else ''}; `atlas runs` lists "
            f"them, `atlas build` makes one."
        )
    return StoredRun(**found[0])


_TEMPLATES = "SELECT relation, language, text, held_out FROM template ORDER BY template"

_RUNS = f"""
SELECT
    run.run, run.method, run.model, model.name, model.digest, model.revision,
    coalesce(run.settings ->> 'dtype', 'float32') AS dtype
FROM run JOIN model USING (model)
WHERE ($run::BIGINT IS NULL OR run.run = $run) AND ($model IS NULL OR model.name = $model)
    AND ($method IS NULL OR run.method = $method)
    AND EXISTS (FROM probe WHERE probe.run = run.run AND {usable("probe.status")})
ORDER BY (run.method = 'amig') DESC, run.started DESC, run.run
LIMIT 1
"""


def usable_prompts(atlas: "Reader", runs: Sequence[int]) -> list[Prompt]:
    """Return the prompts that one of `runs` could use, by relation, fact, language and prompt."""
    return list(_prompts(atlas.sql(_USABLE, {"runs": list(runs)}).to_pylist()))


def _prompts(rows: Sequence[dict[str, object]]) -> Iterator[Prompt]:
    templates: dict[object, Template] = {}
    for row in rows:
        language = str(row["language"])
        label = Label(str(row["subject_label"]), str(row["object_label"]))
        fact = Fact(str(row["relation"]), str(row["subject"]), str(row["object"]), {language: label})
        template = templates.setdefault(
            row["template"], Template(fact.relation, language, str(row["text"]), bool(row["held_out"]))
        )
        yield Prompt(fact, template)


_USABLE = f"""
SELECT DISTINCT
    fact.relation, fact.fact, fact.subject, fact.object, prompt.language, prompt.prompt,
    label.subject AS subject_label, label.object AS object_label,
    template.template, template.text, template.held_out
FROM probe
JOIN prompt USING (prompt)
JOIN fact ON fact.fact = prompt.fact
JOIN fact_label AS label ON label.fact = prompt.fact AND label.language = prompt.language
JOIN template ON template.template = prompt.template
WHERE list_contains($runs, probe.run) AND {usable("probe.status")}
ORDER BY fact.relation, fact.fact, prompt.language, prompt.prompt
"""
