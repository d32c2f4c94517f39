"""`atlas neurons`: which neurons hold what."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atlas.errors import UsageError
from atlas.ids import Package, named_neuron
from atlas.matching import names, parse_neuron

from .. import diagnostics
from ..asked import choose
from ..options import DEFAULT_DB, IN_USE, Db, Definition, OldName, Rows, Run, RunMethod, RunModel, writing
from ..output.carried import COLUMNS, SPARE, headline, named
from ..output.emit import STDOUT, Destination
from ..output.hooks import check_hooks, write_hooks

if TYPE_CHECKING:
    from atlas import Atlas, Result


@writing
def neurons(
    what: Annotated[
        str | None,
        typer.Argument(help="A neuron such as L3.486, or a fact's subject, object or id.", metavar="[WHAT]"),
    ] = None,
    db: Db = DEFAULT_DB,
    fact: Annotated[
        str | None, typer.Option(help="Knowledge neurons of this fact: its subject, its object or its id.")
    ] = None,
    relations: Annotated[
        str | None, typer.Option(help="Knowledge neurons of these relations' facts.", metavar="NAMES")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="Knowledge neurons in these languages.", metavar="NAMES")
    ] = None,
    relation: OldName = None,
    language: OldName = None,
    likn: Annotated[
        bool, typer.Option("--likn", help="Language-independent neurons of --fact or --relations only.")
    ] = False,
    layer: Annotated[int | None, typer.Option(min=0, help="Neurons of this layer, from 0.")] = None,
    neuron: Annotated[
        str | None, typer.Option(help="Neurons of this index, from 0, or one such as L3.486.", metavar="NEURON")
    ] = None,
    run: Run = None,
    model: RunModel = None,
    method: RunMethod = None,
    definition: Definition = IN_USE,
    tau: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of a prompt's largest score, in place of the definition's."),
    ] = None,
    hooks: Annotated[
        Package | None, typer.Option(help="Write where they are as JSON for this package, to cut or change them there.")
    ] = None,
    limit: Rows = 20,
    to: Destination = STDOUT,
) -> None:
    """List neurons: those that carry a fact in each language, or the facts that a neuron carries.

    `atlas neurons Paris` says which neurons carry the fact, in which languages, and `atlas neurons L3.486` which facts
    that neuron carries and what it writes. Without WHAT, --fact, --relations and --languages, each neuron of the atlas
    comes with the number of facts and languages that it is a knowledge neuron of.
    """
    import atlas

    of_facts: dict[str, Any] = {
        "fact": fact,
        "relation": names(relations or relation),
        "language": names(languages or language),
    }
    of_neurons = _place(layer, neuron)
    common: dict[str, Any] = {"definition": definition, "limit": limit + 1 if limit else None}
    _check(what, of_facts, of_neurons, likn=likn, tau=tau)
    if hooks is not None:
        check_hooks(to)
    with atlas.open(db) as opened:
        said = choose(opened, run, model, method)
        if what is not None:
            found = _carried(opened, what, of_facts["relation"], common | {"limit": None})
            if to.is_talk and hooks is None:
                headline(opened, found, named_neuron(what))
        elif likn:
            found = opened.likn(fact=fact, relation=of_facts["relation"], tau=tau, **common)
        elif any(value is not None for value in (*of_facts.values(), tau)):
            found = opened.knowledge_neurons(**of_facts, tau=tau, **common)
        else:
            found = opened.neurons(layer=of_neurons["layer"], neuron=of_neurons["neuron"], **common)
        if said:
            diagnostics.note(said)
        if hooks is not None:
            write_hooks(opened, found.to_arrow(), hooks, limit, to)
        else:
            to.write(named(found.to_arrow()), COLUMNS, limit, SPARE)


def _carried(opened: "Atlas", what: str, relation: tuple[str, ...] | None, common: dict[str, Any]) -> "Result":
    place = named_neuron(what)
    if place is not None:
        return opened.carried(layer=place[0], neuron=place[1], relation=relation, **common)
    return opened.carried(fact=what, relation=relation, **common)


def _place(layer: int | None, neuron: str | None) -> dict[str, int | None]:
    """Return the filters that --layer and --neuron are; raises UsageError for what is no neuron."""
    if neuron is None or (neuron.isascii() and neuron.isdigit()):
        return {"layer": layer, "neuron": None if neuron is None else int(neuron)}
    found = parse_neuron(neuron)
    if layer not in (None, found[0]):
        raise UsageError(f"--neuron {neuron} lies in layer {found[0]}, not in --layer {layer}: leave one out.")
    return {"layer": found[0], "neuron": found[1]}


def _check(
    what: str | None, of_facts: dict[str, Any], of_neurons: dict[str, Any], *, likn: bool, tau: float | None
) -> None:
    """Raise UsageError for options that do not go together."""
    summary = any(value is not None for value in of_neurons.values())
    if summary and (likn or tau is not None or any(value is not None for value in of_facts.values())):
        raise UsageError("--layer and --neuron list neurons over all facts: leave out the other filters.")
    if likn and of_facts["language"] is not None:
        raise UsageError("--likn neurons belong to no single language: leave out --languages.")
    if what is not None and (summary or likn or tau is not None or of_facts["fact"] or of_facts["language"]):
        way = "" if named_neuron(what) else f"; --fact {shlex.quote(what)} goes with --languages, --likn and --tau"
        raise UsageError(
            f"{what!r} says what to look up: beside it only --relations, --run and --definition narrow{way}."
        )
