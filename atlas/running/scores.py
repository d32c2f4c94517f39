"""A run and its scores, computed in this process, into an open atlas (METHOD 2)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isclose
from typing import TYPE_CHECKING

from atlas.attribution.identity import PACKAGES, identity, versions
from atlas.errors import AtlasError, ModelError, UsageError
from atlas.facts import Prompt
from atlas.running.progress import Progress
from atlas.schema import usable
from atlas.store.forgetting import forget_spelling
from atlas.store.stored import usable_prompts

if TYPE_CHECKING:
    from atlas.attribution import Budget, Settings
    from atlas.models import LanguageModel, ModelInfo
    from atlas.store import Writer

_COMPARED = 64
"""Answers, about, by which a run of an unnamed tokenizer is compared with the one at hand."""
_WEIGHED = 8
"""Answers, about, whose probabilities are compared where a run does not name its configuration."""
_NEAR = {"bfloat16": 0.25}
"""By how much probabilities may differ that were computed in other company, as a share; 0.01 where nothing is said."""
_UNSAID = (("config",), ("tokenizer", "config"))
"""Traits that the settings of older runs do not name, of newer ones first."""


@dataclass(frozen=True)
class AtHand:
    """A model at hand: its traits, see `atlas.attribution.traits`, how it spells the answers of prompts, and how
    probable they are, see `answer_tokens` and `probabilities`.
    """

    traits: Mapping[str, str]
    answers: Callable[[Sequence[Prompt]], Sequence[tuple[str, ...] | None]]
    probabilities: Callable[[Sequence[Prompt]], Sequence[float]]


def begin_run(
    writer: "Writer",
    info: "ModelInfo",
    settings: "Settings",
    dtype: str,
    versions: Mapping[str, str],
    at_hand: AtHand,
    twin_of: int | None = None,
    twin_seed: int | None = None,
    asked: Iterable[int] | None = None,
) -> int:
    """Add the model and its run, or go on with the same one; return the run. See `Writer.start_run` for twins.

    Prompts that other versions could not use are taken out, of those `asked`, by id, or of all if None. A run whose
    settings do not say which tokenizer or configuration it had, as none did at first, is the same one if its answers
    are spelled alike and as probable now. What other ones made of the model's neurons is taken out. Raises UsageError
    for a twin's run that stands beside another run.
    """
    model = writer.add_model(info.row())
    own = identity(settings, dtype, info.family, at_hand.traits)
    spoken = _gone_on_with(writer, model, settings, own, at_hand)
    if spoken is None or _others(writer, model, at_hand.traits):
        forget_spelling(writer, model)
    _check_twin(writer, writer.run_id(model, settings.method, spoken or own, settings.seed), twin_of)
    run = writer.start_run(
        model=model,
        method=settings.method,
        settings=spoken or own,
        seed=settings.seed,
        versions=versions,
        twin_of=twin_of,
        twin_seed=twin_seed,
    )
    _try_again(writer, run, versions, None if asked is None else list(asked))
    return run


def _check_twin(writer: "Writer", run: int, twin_of: int | None) -> None:
    """Raise UsageError for a run that is another's twin: models of one architecture have one twin of a seed."""
    others = writer.sql("SELECT twin_of FROM run WHERE run = ? AND twin_of <> ?", [run, twin_of])["twin_of"]
    for other in others.to_pylist():
        raise UsageError(
            f"Run {run} is the untrained twin of run {other} already, whose model has the same architecture, and "
            "cannot stand beside another; `atlas twin --seed` draws other weights."
        )


def _at_hand(model: "LanguageModel") -> AtHand:
    from atlas.attribution.traits import traits
    from atlas.engine.answers import probabilities
    from atlas.engine.label_tokens import answer_tokens

    return AtHand(traits(model), partial(answer_tokens, model), partial(probabilities, model))


def _gone_on_with(
    writer: "Writer", model: int, settings: "Settings", own: Mapping[str, object], at_hand: AtHand
) -> dict[str, object] | None:
    """Return the settings by which the run is called, as they were when it began; empty if there is none, None if one
    that says less is not of the model at hand.
    """
    unlike = False
    for names in ((), *_UNSAID):
        said = {name: value for name, value in own.items() if name not in names}
        run = writer.run_id(model, settings.method, said, settings.seed)
        if writer.sql("SELECT 1 FROM run WHERE run = ?", [run]).num_rows:
            alike = not names or _alike(writer, run, names, str(own["dtype"]), at_hand)
            if alike:
                return said
            unlike |= alike is False
    return None if unlike else {}


def _alike(writer: "Writer", run: int, unsaid: Sequence[str], dtype: str, at_hand: AtHand) -> bool | None:
    """Return whether the answers of a run's usable prompts are spelled as they were then, if its tokenizer is `unsaid`,
    and as probable, None if there are none.
    """
    prompts = usable_prompts(writer, [run])
    some = prompts[:: len(prompts) // _COMPARED + 1]
    rows = writer.sql("SELECT prompt, tokens, probability FROM probe WHERE run = ?", [run]).to_pylist()
    then = {row["prompt"]: (row["tokens"] and tuple(json.loads(row["tokens"])), row["probability"]) for row in rows}
    if not some:
        return None
    if "tokenizer" in unsaid and [then[p.id][0] for p in some] != list(at_hand.answers(some)):
        return False
    few = some[:: len(some) // _WEIGHED + 1]
    try:
        now = at_hand.probabilities(few)
    except ModelError:  # they could be used then
        return False
    near = _NEAR.get(dtype, 0.01)
    return all(isclose(then[p.id][1], own, rel_tol=near, abs_tol=1e-9) for p, own in zip(few, now, strict=True))


def _others(writer: "Writer", model: int, traits: Mapping[str, str]) -> bool:
    """Return whether the run of the model that ended last says that it had other traits."""
    query = """
        SELECT settings FROM run WHERE model = $model AND method <> 'union'
        ORDER BY coalesce(finished, started) DESC LIMIT 1
    """
    rows = writer.sql(query, {"model": model}).to_pylist()
    return bool(rows) and not traits.items() <= {**traits, **json.loads(rows[0]["settings"])}.items()


def _try_again(writer: "Writer", run: int, now: Mapping[str, str], asked: Sequence[int] | None) -> None:
    """Take out the prompts that were unusable when other versions of the packages were at work, and note the versions.

    All else that a prompt hangs on is in the id of the prompt or of the run. Where some are `asked` nobody tries the
    others: they stay, and nothing is noted.
    """
    (row,) = writer.sql("SELECT versions FROM run WHERE run = ?", [run]).to_pylist()
    stored = json.loads(row["versions"])
    tried = stored.get("unusable", stored)
    own = {name: now[name] for name in PACKAGES if name in now}
    if own.items() <= tried.items():
        return
    places = f"""
        SELECT place FROM probe WHERE run = $run AND NOT ({usable("status")})
            AND ($asked::BIGINT[] IS NULL OR list_contains($asked::BIGINT[], prompt))
    """
    bound = {"run": run, "asked": asked}
    with writer.transaction():
        # Unresolved ones have scores, which hang on the place of their probe.
        tables = ("attribution", "probe_layer", "probe")
        *_, gone = (writer.one(f"DELETE FROM {table} WHERE place IN ({places})", bound) for table in tables)
    if asked is None and gone:
        noted = json.dumps({**stored, "unusable": own}, ensure_ascii=False, sort_keys=True)
        writer.sql("UPDATE run SET versions = ? WHERE run = ?", [noted, run])


def fill_run(
    writer: "Writer",
    model: "LanguageModel",
    groups: Iterable[Sequence[Prompt]],
    settings: "Settings",
    dtype: str = "float32",
    budget: "Budget | None" = None,
    progress: Progress | None = None,
) -> int:
    """Score the prompts that the run lacks, each group in one go, and return the run; their facts are there.

    A run that was broken off before is done afterwards only if it lacks no prompt that was ever planned.
    """
    from atlas.attribution import attribute
    from atlas.attribution.rows import to_tables

    progress = progress or Progress()
    open_before, every = writer.unfinished_runs(), list(groups)
    asked = (prompt.id for group in every for prompt in group)
    run = begin_run(writer, model.info, settings, dtype, versions(str(model.device)), _at_hand(model), asked=asked)
    done = writer.done_prompts(run)
    missing = [[prompt for prompt in group if prompt.id not in done] for group in every]
    total = sum(map(len, every))
    progress.start(total, total - sum(map(len, missing)), "prompts")
    try:
        for group in filter(None, missing):
            writer.add_prompts(group)
            writer.load_batch(to_tables(run, attribute(model, group, settings, budget), settings.floor))
            progress.advance(len(group))
    except BaseException:
        # What went wrong is told, not that the run's status could not be written because of it.
        with suppress(AtlasError):
            writer.finish_run(run, "interrupted")
        raise
    finally:
        progress.finish()
    whole = run not in open_before or writer.lacks_no_prompt(run)
    writer.finish_run(run, "done" if whole else "interrupted")
    return run
