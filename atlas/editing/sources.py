"""Which neurons an edit changes: asked of the atlas, or read from a file. Never imports torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from atlas.drawing import random_neurons
from atlas.errors import DataError, UsageError
from atlas.facts.reading import files
from atlas.facts.reading.texts import LineError, shown
from atlas.ids import Neuron, named_neuron
from atlas.matching import option
from atlas.schema import usable

if TYPE_CHECKING:
    from atlas.facts import Fact
    from atlas.store.atlas import Atlas

Kind = Literal["likn", "kn", "relation"]
KINDS = ("likn", "kn", "relation")


@dataclass(frozen=True, slots=True)
class Choice:
    """Neurons (layer, neuron), ascending, and where they come from."""

    source: str
    neurons: tuple[Neuron, ...]


def choices(
    atlas: "Atlas", run: int, definition: str, kind: Kind, fact: "Fact", languages: Sequence[str], least: int | None
) -> list[Choice]:
    """Return the neurons of a fact, narrowest choice first; UsageError with the reason if the atlas holds none.

    `likn`: those of the definition; then, where those few cannot carry an edit, those of all languages at the run's
    floor for tau, of all but one, and so on down to `least` languages (default 2). `kn`: those of any of
    `languages`. `relation`: the relation's degenerate neurons.
    """
    if kind == "likn":
        found = list(_likn(atlas, run, definition, fact, least))
    elif kind == "kn":
        found = [_asked(atlas, "kn", _KN, run, definition, fact=fact.id, languages=list(languages))]
    elif kind == "relation":
        named = {"relation": fact.relation, "languages": list(languages)}
        found = [_asked(atlas, "relation", _RELATION, run, definition, **named)]
    else:
        raise UsageError(f"--neurons cannot be {kind!r}: choose {', '.join(KINDS)}, neurons, or a file of neurons.")
    found = [choice for choice in found if choice.neurons]
    if not found:
        raise UsageError(_reason(atlas, run, definition, kind, fact, ", ".join(languages)))
    return found


def random_choices(
    found: Sequence[Choice],
    shape: tuple[int, int],
    fact: int,
    seed: int,
    *,
    grow: bool = False,
    elsewhere: bool = False,
) -> list[Choice]:
    """Return random neurons in place of each choice, as many, of a model of `shape` (layers, neurons of a layer).

    `elsewhere` draws them from layers without a neuron of any choice. `grow` goes on to twice as many, again and
    again, up to all: random neurons that carry the edit as well as those that they stand for. Raises UsageError if
    every layer has such a neuron.
    """
    own = {layer for choice in found for layer, _ in choice.neurons} if elsewhere else set()
    free, width = [layer for layer in range(shape[0]) if layer not in own], shape[1]
    if not free:
        raise UsageError("--other-layers: every layer has neurons of the fact; leave it out, or take --neurons kn.")
    source = "random in other layers" if elsewhere else "random"
    sizes = [min(len(choice.neurons), len(free) * width) for choice in found]
    while grow and sizes[-1] < len(free) * width:
        sizes.append(min(2 * sizes[-1], len(free) * width))
    draws = [random_neurons(size, len(free), width, "edit-random", seed, fact) for size in sizes]
    return [Choice(source, tuple(sorted((free[layer], neuron) for layer, neuron in drawn))) for drawn in draws]


def listed_neurons(text: str) -> Choice:
    """Return neurons written out, `L3.486,L4.12`, or those of a file; raises UsageError and DataError."""
    named = [named_neuron(part) for part in text.split(",")]
    if all(named):
        return Choice("file", tuple(sorted({neuron for neuron in named if neuron})))
    if not Path(text).exists():
        option("--neurons", text, (*KINDS, "neurons such as L3.486,L4.12", "a file of neurons"))
    return read_neurons(Path(text))


def read_neurons(path: Path) -> Choice:
    """Read neurons from a file: JSON `[[layer, neuron], ...]`, or CSV with columns `layer` and `neuron`."""
    try:
        if files.ending(path) == ".json":
            pairs = [(_whole(layer), _whole(neuron)) for layer, neuron in files.json_text(path)]
        else:
            table = files.table(path).checked()
            pairs = [_pair(table, number, line) for number, line in table.lines()]
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(
            f"{path} cannot be read as neurons ({error!r}); give JSON [[layer, neuron], ...] or a CSV with columns "
            f"layer and neuron, or one of {', '.join(KINDS)}."
        ) from error
    if not pairs:
        raise DataError(f"{path} names no neurons; give at least one.")
    return Choice("file", tuple(sorted(set(pairs))))


def _pair(table: files.Table, number: int, line: bytes) -> Neuron:
    with files.at(table.path, number):
        row = table.row(line)
        layer, neuron = (files.cell(row, column, _number) for column in ("layer", "neuron"))
    return int(layer), int(neuron)


def _whole(value: Any) -> int:
    if (number := int(value)) != float(value):
        raise ValueError(f"{value!r} is no whole number")
    return number


def _number(text: str) -> str:
    if not text.strip().isdecimal():
        raise LineError(f"{shown(text)} is no whole number")
    return text.strip()


def _likn(atlas: "Atlas", run: int, definition: str, fact: "Fact", least: int | None) -> Iterator[Choice]:
    """Yield the LIKN, those at the run's floor for tau, and those of fewer languages; each half as large again."""

    def likn(**given: float) -> list[dict[str, Any]]:
        return atlas.likn(fact=fact.id, run=run, definition=definition, specificity=False, **given).to_pylist()  # type: ignore[arg-type]

    own = _neurons(likn())
    yield Choice("likn", own)
    floor, total = _floor(atlas, run), _languages(atlas, run, fact)
    lowest = min(least or 2, total)
    found, size = likn(tau=floor, min_languages=lowest), 1.5 * len(own)
    for count in range(total, lowest - 1, -1):
        neurons = _neurons(row for row in found if row["n_languages"] >= count)
        if neurons and len(neurons) >= size:
            yield Choice(f"likn{'' if count == total else f' of {count}/{total} languages'} at tau {floor:g}", neurons)
            size = 1.5 * len(neurons)


def _neurons(rows: Iterable[Mapping[str, Any]]) -> tuple[Neuron, ...]:
    return tuple(sorted((row["layer"], row["neuron"]) for row in rows))


def _floor(atlas: "Atlas", run: int) -> float:
    """Return the run's floor, below which no tau can be asked for."""
    return float(atlas.one("SELECT coalesce((settings ->> 'floor')::DOUBLE, 0) FROM run WHERE run = ?", [run]))


def _languages(atlas: "Atlas", run: int, fact: "Fact") -> int:
    """Return in how many languages the fact has usable prompts."""
    rows = atlas.sql("SELECT n_languages FROM fact_coverage WHERE run = ? AND fact = ?", [run, fact.id]).to_pylist()
    return int(rows[0]["n_languages"]) if rows else 0


def _asked(atlas: "Atlas", source: str, query: str, run: int, definition: str, **params: object) -> Choice:
    return Choice(source, _neurons(atlas.sql(query, {"run": run, "definition": definition, **params}).to_pylist()))


def _reason(atlas: "Atlas", run: int, definition: str, kind: str, fact: "Fact", codes: str) -> str:
    probed = atlas.sql(_PROBED, {"run": run, "fact": fact.id}).to_pylist()[0]["usable"]
    if not probed:
        return f"Run {run} holds no usable prompt of {fact}; attribute it with `atlas build` first."
    if kind == "relation":
        return (
            f"The atlas holds no degenerate neurons of relation {fact.relation} in {codes}; measure them with "
            "`atlas knockout` or, if it found none, choose other --neurons."
        )
    where, way = ("", "--neurons kn") if kind == "likn" else (f" in {codes}", "other --languages")
    return (
        f"Run {run} holds no {kind} neurons of {fact}{where} under definition {definition!r}; lower its thresholds, "
        f"or choose {way} or a file of neurons."
    )


_KN = """
SELECT DISTINCT layer, neuron FROM knowledge_neuron_all
WHERE run = $run AND definition = $definition AND fact = $fact AND list_contains($languages, language)
ORDER BY layer, neuron
"""

_RELATION = """
SELECT DISTINCT layer, neuron
FROM relation_dkn_of(of_runs(definition_of($definition, NULL), (
    SELECT list(joined.source)
    FROM knockout_source AS own JOIN knockout_source AS joined ON joined.run = own.run
    WHERE own.source = $run
))) AS relation_dkn JOIN knockout_source AS origin ON origin.run = relation_dkn.run
WHERE origin.source = $run AND relation = $relation
    AND list_contains($languages, language)
ORDER BY layer, neuron
"""

_PROBED = f"""
SELECT count(*) AS usable FROM probe JOIN prompt USING (prompt)
WHERE run = $run AND prompt.fact = $fact AND {usable("status")}
"""
