"""Prompts as an atlas holds them, as the values that the model side takes."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from atlas.facts import Fact, Label, Prompt, Template

if TYPE_CHECKING:
    from atlas.store.atlas import Atlas


def usable_prompts(atlas: "Atlas", runs: Sequence[int]) -> list[Prompt]:
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


_USABLE = """
SELECT DISTINCT
    fact.relation, fact.fact, fact.subject, fact.object, prompt.language, prompt.prompt,
    label.subject AS subject_label, label.object AS object_label,
    template.template, template.text, template.held_out
FROM probe
JOIN prompt USING (prompt)
JOIN fact ON fact.fact = prompt.fact
JOIN fact_label AS label ON label.fact = prompt.fact AND label.language = prompt.language
JOIN template ON template.template = prompt.template
WHERE list_contains($runs, probe.run) AND probe.status IN ('ok', 'not_converged')
ORDER BY fact.relation, fact.fact, prompt.language, prompt.prompt
"""
