"""`atlas build`: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atlas import scorers
from atlas.errors import UsageError, counted
from atlas.matching import names
from atlas.running.choice import ModelChoice

from .. import diagnostics
from ..exits import ExitCode
from ..options import DEFAULT_DB, DEMO, Ask, At, Db, Examples, Json, Languages, Relations, SkipBad, choosing_model
from . import report as reporting

if TYPE_CHECKING:
    from atlas.building.summary import Summary
    from atlas.knockouts.job import KnockoutOptions


@choosing_model
def build(
    choice: Annotated[
        ModelChoice, "demo-mbert, demo-mgpt, a name that `atlas models` lists, a Hugging Face id or a folder."
    ] = DEMO,
    dataset: Annotated[
        str, typer.Option(help="`bundled`, a folder or file of facts, or hf:OWNER/NAME[@REVISION] (docs/facts.md).")
    ] = "bundled",
    languages: Languages = None,
    relations: Relations = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="Facts to take at most; 0 for all. By default 60 of the bundled ones."),
    ] = None,
    sample_seed: Annotated[
        int, typer.Option(help="Which facts a limit takes, of those that are asked for alike.", metavar="SEED")
    ] = 0,
    known: Annotated[
        bool, typer.Option("--known", help="Take only facts that the model knows, in languages where it does.")
    ] = False,
    ask: Ask = False,
    examples: Examples = None,
    method: Annotated[str, typer.Option(help=f"{scorers.listed('build')}.")] = scorers.DEFAULT,
    at: At = "query",
    db: Db = DEFAULT_DB,
    tolerance: Annotated[
        float | None, typer.Option(help="Completeness error that asks for more nodes, as a share.")
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(help="Quadrature nodes to start with; the method's own if left out.")
    ] = None,
    max_nodes: Annotated[int | None, typer.Option(help="Most nodes that a layer may take.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            help="gauss-radau, gauss-legendre, clenshaw-curtis, left-20 or peer-20: how paths are integrated."
        ),
    ] = None,
    cuts: Annotated[int | None, typer.Option(help="Neurons that the method greedy cuts.")] = None,
    floor: Annotated[
        float | None,
        typer.Option(
            help="Share of a prompt's largest score from which scores are stored; at most 0.2, `default`'s tau."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    shard: Annotated[
        str | None, typer.Option(help="Compute one part of the batches alone: 3/16.", metavar="K/N")
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Compute in this process, or on Ray workers.")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster to work on; by default one is started here.", metavar="ADDRESS")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray workers; by default as many as the cluster has room for.")
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(min=0, help="GPUs of each Ray worker; by default 1 where there are any.")
    ] = None,
    shards_to: Annotated[
        str | None,
        typer.Option(help="Folder that Ray workers write their rows to, for the loader to read.", metavar="URL"),
    ] = None,
    skip_bad: SkipBad = False,
    twin: Annotated[
        bool | None,
        typer.Option(
            "--twin/--no-twin",
            help="Put the same prompts to the model's untrained twin; by default for demo-mbert's own facts alone.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Take out what the atlas holds of this run first, and compute all of it.")
    ] = False,
    knockout: Annotated[
        bool, typer.Option("--knockout", help="Then knock out the facts' neurons, as `atlas knockout` does.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a report into this folder at the end.", metavar="FOLDER")
    ] = None,
    json: Json = False,
) -> None:
    """Attribute facts with a model and store the scores in an atlas.

    What the atlas holds already is not computed again: after Ctrl-C or a crash, the same command goes on.
    """
    from atlas import jobs
    from atlas.building.plan import Shard
    from atlas.knockouts.job import KnockoutOptions
    from atlas.running.stopping import go_on

    from ..output.progress import TerminalProgress
    from ..output.summary import show

    if knockout and shard is not None and Shard.parse(shard).of > 1:
        raise UsageError("A shard cannot be knocked out; merge all shards, then run `atlas knockout`.")
    if report is not None:
        reporting.check(report)
    summary = jobs.build(
        **choice.given(), dataset=dataset, languages=languages, relations=relations, limit=limit,
        sample_seed=sample_seed, known=known, ask=ask, examples=examples, method=method, at=at, db=db,
        tolerance=tolerance, nodes=nodes, max_nodes=max_nodes, rule=rule, cuts=cuts, floor=floor, seed=seed,
        shard=shard, engine=engine, ray_address=ray_address, workers=workers, gpus_per_worker=gpus_per_worker,
        shards_to=shards_to, skip_bad=skip_bad, twin=twin, again=again, progress=TerminalProgress(),
    )  # fmt: skip
    if knockout and not summary.interrupted:
        go_on()
        options = KnockoutOptions(
            **choice.given(), db=db, source=summary.method, run=summary.run, languages=names(languages),
            relations=names(relations), seed=seed, at=at,
        )  # fmt: skip
        _knock_out(options, summary, json=json)
    else:
        show(summary, json=json)
    if report is not None and not summary.interrupted:
        go_on()
        say = diagnostics.talk if json else print
        say(diagnostics.visible(reporting.line_of(reporting.write(db, report))))
    end(summary)


def _knock_out(options: "KnockoutOptions", summary: "Summary", *, json: bool) -> None:
    """Go on with the knock-outs of what was built, and show both summaries."""
    from atlas.knockouts.job import knockout as run_knockout

    from ..output.progress import TerminalProgress
    from ..output.summary import show
    from .knockout import finish, values

    if not json:
        show(summary, json=False)
    found = run_knockout(options, TerminalProgress())
    if json:
        show(summary, json=True, more={"knockout": values(found)})
    finish(found, show=not json, json=False)


def end(summary: "Summary") -> None:
    """Warn of what a build could not do; raise Exit for one that was interrupted."""
    if summary.statuses["nan"]:
        diagnostics.warning(
            f"the model's output holds NaN for {counted(summary.statuses['nan'], 'prompt')}; try --dtype float32"
        )
    if summary.useless:
        diagnostics.error(
            f"no prompt of run {summary.run} has scores: {_reasons(summary)}",
            "another model, or templates that fit this one, give some",
        )
        raise typer.Exit(ExitCode.FAILED)
    if summary.interrupted:
        diagnostics.error(
            f"interrupted with {counted(summary.left, 'prompt')} left; nothing is lost",
            "the same command goes on where this one stopped",
        )
        raise typer.Exit(ExitCode.FAILED)


def _reasons(summary: "Summary") -> str:
    """Return why prompts were not usable, in this call or in an earlier one."""
    return "; ".join(f"{count:,} times {reason}" for reason, count in summary.skipped.items()) or "all failed before"
