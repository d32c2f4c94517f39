"""Facts, templates and prompts read back from an atlas. Never imports torch."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from atlas.facts import Fact, FactSet, Label, Prompt, Template
from atlas.ids import Neuron
from atlas.schema import usable
from atlas.store.result import Params

if TYPE_CHECKING:
    from atlas.store.reader import Reader


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


def neuron_sets(atlas: "Reader", query: str, params: Params = ()) -> dict[tuple[Any, ...], list[Neuron]]:
    """Return the neurons that a query yields in its last two columns, by the values of those before, in its order."""
    found: dict[tuple[Any, ...], list[Neuron]] = defaultdict(list)
    columns = (column.to_pylist() for column in atlas.sql(query, params).columns)
    for *key, layer, neuron in zip(*columns, strict=True):
        found[tuple(key)].append((layer, neuron))
    return dict(found)


def usable_prompts(atlas: "Reader", runs: Sequence[int], tell: Callable[[str], None] = lambda _: None) -> list[Prompt]:
    """Return the prompts that one of `runs` could use, by relation, fact, language and prompt.

    Prompts with other labels than the atlas has, which a merge brings, are left out; `tell` is told how many.
    """
    made = list(_made_again(atlas, runs))
    kept = [prompt for prompt, own in made if prompt.id == own]
    if others := len(made) - len(kept):
        tell(
            f"left out {others:,} of {len(made):,} usable prompts, whose labels are not those of the atlas; "
            "`atlas build` with their data set asks by its labels"
        )
    return kept


def _made_again(atlas: "Reader", runs: Sequence[int]) -> Iterator[tuple[Prompt, int]]:
    """Yield the usable prompts of `runs` as the atlas's labels make them, and the ids that they had."""
    every = stored_facts(atlas)
    facts = {fact.id: fact for fact in every.facts}
    templates = {template.id: template for template in every.templates}
    for row in atlas.sql(_USABLE, {"runs": list(runs)}).to_pylist():
        yield Prompt(facts[row["fact"]], templates[row["template"]]), row["prompt"]


_TEMPLATES = "SELECT relation, language, text, held_out, kind FROM template ORDER BY template"

_USABLE = f"""
SELECT DISTINCT fact.relation, fact.fact, prompt.language, prompt.prompt, prompt.template
FROM probe JOIN prompt USING (prompt) JOIN fact ON fact.fact = prompt.fact
WHERE list_contains($runs, probe.run) AND {usable("probe.status")}
ORDER BY fact.relation, fact.fact, prompt.language, prompt.prompt
"""
