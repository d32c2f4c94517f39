"""A run and its scores, computed in this process, into an open atlas (METHOD 2)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from atlas.attribution.identity import PACKAGES, identity, versions
from atlas.errors import AtlasError
from atlas.facts import Prompt
from atlas.running.progress import Progress
from atlas.schema import usable
from atlas.store.stored import usable_prompts

if TYPE_CHECKING:
    from atlas.attribution import Budget, Settings
    from atlas.models import LanguageModel, ModelInfo
    from atlas.store import Writer

_COMPARED = 64
"""Answers, about, by which a run of an unnamed tokenizer is compared with the one at hand."""


@dataclass(frozen=True)
class Speller:
    """A model's tokenizer: its digest, and what spells the answers of prompts, see `answer_tokens`."""

    digest: str
    answers: Callable[[Sequence[Prompt]], Sequence[tuple[str, ...] | None]]


def begin_run(
    writer: "Writer",
    info: "ModelInfo",
    settings: "Settings",
    dtype: str,
    versions: Mapping[str, str],
    speller: Speller,
    twin_of: int | None = None,
    twin_seed: int | None = None,
) -> int:
    """Add the model and its run, or go on with the same one; return the run. See `Writer.start_run` for twins.

    A run whose settings do not say which tokenizer it had, as none did at first, is the same one if its
    answers are spelled alike now. Where another tokenizer was at work, the names that it spelled are taken out.
    """
    model = writer.add_model(info.row())
    own = identity(settings, dtype, info.family, speller.digest)
    unsaid = {name: value for name, value in own.items() if name != "tokenizer"}
    old = writer.run_id(model, settings.method, unsaid, settings.seed)
    alike = _spelled_alike(writer, old, speller)
    if alike is False or _other_tokenizers(writer, model, speller):
        _forget_spelling(writer, model)
    run = writer.start_run(
        model=model,
        method=settings.method,
        settings=unsaid if alike else own,
        seed=settings.seed,
        versions=versions,
        twin_of=twin_of,
        twin_seed=twin_seed,
    )
    _try_again(writer, run, versions)
    return run


def _speller(model: "LanguageModel") -> Speller:
    from atlas.engine.label_tokens import answer_tokens
    from atlas.models.tokenizer_settings import tokenizer_digest

    return Speller(tokenizer_digest(model.tokenizer), partial(answer_tokens, model))


def _spelled_alike(writer: "Writer", run: int, speller: Speller) -> bool | None:
    """Return whether the answers of a run's usable prompts are spelled as they were then, None if there are none."""
    if not writer.sql("SELECT 1 FROM run WHERE run = ?", [run]).num_rows:
        return None
    prompts = usable_prompts(writer, [run])
    some = prompts[:: len(prompts) // _COMPARED + 1]
    rows = writer.sql("SELECT prompt, tokens FROM probe WHERE run = ?", [run]).to_pylist()
    then = {row["prompt"]: row["tokens"] and tuple(json.loads(row["tokens"])) for row in rows}
    return all(then[p.id] == now for p, now in zip(some, speller.answers(some), strict=True)) if some else None


def _other_tokenizers(writer: "Writer", model: int, speller: Speller) -> bool:
    """Return whether a run of the model that ended last says that it had another tokenizer."""
    query = """
        SELECT coalesce(settings ->> 'tokenizer', $digest) <> $digest AS other FROM run WHERE model = $model
        ORDER BY coalesce(finished, started) DESC LIMIT 1
    """
    rows = writer.sql(query, {"model": model, "digest": speller.digest}).to_pylist()
    return bool(rows) and bool(rows[0]["other"])


def _forget_spelling(writer: "Writer", model: int) -> None:
    """Take out what is stored of a model's tokens, which the next runs store again."""
    for table in ("label_token", "neuron_token"):
        writer.sql(f"DELETE FROM {table} WHERE model = ?", [model])


def _try_again(writer: "Writer", run: int, now: Mapping[str, str]) -> None:
    """Take out the prompts that were unusable when other versions of the packages were at work, and note the versions.

    All else that a prompt hangs on is in the id of the prompt or of the run.
    """
    (row,) = writer.sql("SELECT versions FROM run WHERE run = ?", [run]).to_pylist()
    stored = json.loads(row["versions"])
    tried = stored.get("unusable", stored)
    own = {name: now[name] for name in PACKAGES if name in now}
    if own.items() <= tried.items():
        return
    gone = f"DELETE FROM probe WHERE run = ? AND NOT ({usable('status')})"
    if int(writer.sql(gone, [run])["Count"][0].as_py()):
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
    open_before = writer.unfinished_runs()
    run = begin_run(writer, model.info, settings, dtype, versions(str(model.device)), _speller(model))
    done = writer.done_prompts(run)
    every = list(groups)
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
