"""`atlas neurons`: which neurons hold what."""

from typing import Annotated, Any

import typer

from atlas.errors import UsageError

from ..options import DEFAULT_DB, Db, FormatOption, Json, Output, Rows, chosen, some
from ..output.emit import emit


def neurons(
    db: Db = DEFAULT_DB,
    fact: Annotated[
        str | None, typer.Option(help="Knowledge neurons of this fact: its id, or its subject's name or key.")
    ] = None,
    relation: Annotated[str | None, typer.Option(help="Knowledge neurons of this relation's facts.")] = None,
    language: Annotated[str | None, typer.Option(help="Knowledge neurons in this language.")] = None,
    likn: Annotated[
        bool, typer.Option("--likn", help="Language-independent neurons of --fact or --relation only.")
    ] = False,
    layer: Annotated[int | None, typer.Option(min=0, help="Neurons of this layer, from 0.")] = None,
    neuron: Annotated[int | None, typer.Option(min=0, help="Neurons of this index, from 0.")] = None,
    run: Annotated[int | None, typer.Option(help="Of this run only.")] = None,
    definition: Annotated[str, typer.Option(help="Named thresholds to go by.")] = "default",
    tau: Annotated[
        float | None, typer.Option(help="Share of a prompt's largest score, in place of the definition's.")
    ] = None,
    limit: Rows = 20,
    format_: FormatOption = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """List neurons, of the whole atlas or of a fact.

    Without --fact, --relation or --language, each neuron comes with the number of facts and languages that it
    is a knowledge neuron of.
    """
    import atlas

    of_facts: dict[str, Any] = {"fact": fact, "relation": relation, "language": language}
    of_neurons: dict[str, Any] = {"layer": layer, "neuron": neuron}
    _check(of_facts, of_neurons, likn=likn, tau=tau)
    common: dict[str, Any] = {"run": run, "definition": definition, "limit": some(limit)}
    with atlas.open(db) as opened:
        if likn:
            found = opened.likn(fact=fact, relation=relation, tau=tau, **common)
        elif any(value is not None for value in (*of_facts.values(), tau)):
            found = opened.knowledge_neurons(fact=fact, relation=relation, language=language, tau=tau, **common)
        else:
            found = opened.neurons(layer=layer, neuron=neuron, **common)
        emit(found.to_arrow(), chosen(format_, json), output)


def _check(of_facts: dict[str, Any], of_neurons: dict[str, Any], *, likn: bool, tau: float | None) -> None:
    """Raise UsageError for options that do not go together."""
    summary = any(value is not None for value in of_neurons.values())
    if summary and (likn or tau is not None or any(value is not None for value in of_facts.values())):
        raise UsageError("--layer and --neuron list neurons over all facts: leave out the other filters.")
    if likn and of_facts["language"] is not None:
        raise UsageError("--likn neurons belong to no single language: leave out --language.")
