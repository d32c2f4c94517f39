"""`atlas knockout`: measure the candidates of degenerate knowledge neurons."""

import json as json_module
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from atlas.errors import counted
from atlas.running.choice import OpenChoice

from .. import diagnostics
from ..exits import ExitCode
from ..options import (
    DEFAULT_DB,
    IN_USE,
    OPEN,
    At,
    Db,
    Definition,
    Json,
    Languages,
    Relations,
    Replace,
    Run,
    Source,
    choosing_model,
)

if TYPE_CHECKING:
    from atlas.knockouts.job import KnockoutSummary


@choosing_model
def knockout(
    choice: Annotated[OpenChoice, "Model whose neurons are knocked out; if left out, that of the run in use."] = OPEN,
    run: Run = None,
    method: Source = None,
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[int, typer.Option(min=0, help="Facts to take at most; 0 for all.")] = 0,
    top: Annotated[int, typer.Option(min=1, help="Candidates of a fact in a language, best first.")] = 20,
    max_order: Annotated[
        int, typer.Option(min=1, max=6, help="Largest set; only sets whose parts cost little are tried.")
    ] = 2,
    all_pairs: Annotated[
        bool,
        typer.Option("--all-pairs", help="Also pairs that can be no DKN, as a neuron of them alone costs too much."),
    ] = False,
    control: Annotated[bool, typer.Option(help="Measure random sets of the same size and layers too.")] = True,
    definition: Definition = IN_USE,
    at: At = "query",
    replace: Replace = None,
    db: Db = DEFAULT_DB,
    seed: Annotated[int, typer.Option(help="Seed of the random sets, and of the facts whose values are taken.")] = 0,
    json: Json = False,
) -> None:
    """Cut knowledge neurons, alone and together, and store what the answers lose.

    The views dkn, dkn_control, dkn_summary and relation_dkn read the measurements of the `replace` of their definition,
    zero for most; dkn_by_replace sets all side by side. What the atlas holds already is
    not measured again: after Ctrl-C or a crash, the same command goes on.
    """
    from atlas import jobs

    from ..output.progress import TerminalProgress

    found = jobs.knockout(
        **choice.given(), db=db, run=run, method=method, languages=languages, relations=relations, limit=limit, top=top,
        max_order=max_order, all_pairs=all_pairs, control=control,
        definition=definition, replace=replace, seed=seed, at=at, progress=TerminalProgress(),
    )  # fmt: skip
    finish(found, json=json)


def finish(summary: "KnockoutSummary", *, json: bool, show: bool = True) -> None:
    """Print what was done, if `show`; an interrupted job ends with exit code 1."""
    if show and json:
        print(json_module.dumps(values(summary), ensure_ascii=False, indent=2))
    elif show:
        for line in _lines(summary):
            print(diagnostics.visible(line))
    if summary.interrupted:
        diagnostics.error(
            f"interrupted with {counted(summary.left, 'prompt')} left; nothing is lost",
            "the same command goes on where this one stopped",
        )
        raise typer.Exit(ExitCode.FAILED)


def _lines(summary: "KnockoutSummary") -> list[str]:
    unusable = sorted(summary.unusable.items())
    skipped = [f"  {counted(count, 'prompt')} gave no numbers: {status}" for status, count in unusable]
    left = f"  {summary.pairs_left_out:,} pairs were left out: a neuron of them alone costs more than a DKN's may."
    drawn = summary.facts_with_control
    chance = "random sets were not measured"
    if drawn is not None:
        chance = f"among random sets of the same sizes and layers, in {drawn:,}"
    cut = "" if summary.replace == "zero" else f", cut to {summary.replace}"
    return [
        f"Measured {counted(summary.rows, 'knock-out')} in {counted(summary.prompts, 'prompt')} with {summary.model} "
        f"(neurons of {summary.source}{cut}) in {summary.seconds:.1f} s.",
        f"  {summary.without_candidates:,} times a fact had no knowledge neuron in a language.",
        *([left] if summary.pairs_left_out else []),
        *skipped,
        f"Found a DKN in {summary.facts_with_dkn:,} of {counted(summary.facts, 'fact')}; {chance}.",
        f"The atlas is {summary.atlas} (run {summary.run}). Next:",
        f'  atlas sql "from dkn_by_replace_all where run = {summary.run}" --db {shlex.quote(str(summary.atlas))}',
    ]


def values(summary: "KnockoutSummary") -> dict[str, object]:
    """Return the summary as JSON values."""
    return {
        "atlas": str(summary.atlas),
        "run": str(summary.run),
        "model": summary.model,
        "source": summary.source,
        "replace": summary.replace,
        "prompts": summary.prompts,
        "left": summary.left,
        "measured": summary.rows,
        "without_candidates": summary.without_candidates,
        "pairs_left_out": summary.pairs_left_out,
        "unusable": dict(summary.unusable),
        "facts": summary.facts,
        "facts_with_dkn": summary.facts_with_dkn,
        "facts_with_control": summary.facts_with_control,
        "interrupted": summary.interrupted,
        "seconds": round(summary.seconds, 3),
    }
