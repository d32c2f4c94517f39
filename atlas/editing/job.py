"""The editing job: ask the atlas for neurons, make the edits, write their files, record what they did."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

import atlas
from atlas import outputs
from atlas.editing.requests import EditSettings, Request, Target, run_to_edit, understand
from atlas.editing.rows import Saved, edit_path, edit_row, is_noted, note, outcome_rows, saved
from atlas.editing.sources import KINDS, Choice, choices, listed_neurons, random_choices
from atlas.errors import AtlasError, UsageError
from atlas.running.choice import OpenChoice, tell
from atlas.running.progress import Progress
from atlas.running.settings import checked
from atlas.store.connection import check_file
from atlas.store.doubts import doubts
from atlas.store.naming import IN_USE, understood
from atlas.store.runs import StoredRun
from atlas.store.stored import Prompts, stored_facts

if TYPE_CHECKING:
    from atlas.editing.making import Made
    from atlas.models import LanguageModel
    from atlas.store import Writer

_WEIGHTS = re.compile(r"(pytorch_)?model(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?")


@dataclass(frozen=True)
class EditOptions(OpenChoice):
    """How edits are made, and where they go.

    `neurons` is `likn`, `kn`, `relation` or a file; `least_languages` how far LIKN may be relaxed. What is left open of
    the model is that of `run`, or else of the run of scorer `source` `at` a position that is meant, but of no model
    that an edit was saved in; an empty `definition` is the one in use. Each edit starts from the
    model as it was, unless `together` leaves it in place for the next; `save` is a folder for the model with all edits
    in place and implies `together`. `files` None puts the edits' files into a folder beside the atlas. `control` edits
    random neurons.
    """

    db: Path = Path("atlas.duckdb")
    run: int | None = None
    source: str | None = None
    at: str | None = None
    definition: str = IN_USE
    neurons: str = "likn"
    least_languages: int | None = None
    force: bool = False
    together: bool = False
    save: Path | None = None
    files: Path | None = None
    control: bool = False
    other_layers: bool = False
    grow: bool = False
    generate: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_a_row(self) -> bool:
        """True if each edit stands on those before it."""
        return self.together or self.save is not None

    @property
    def folder(self) -> Path:
        """Where the edits' files go."""
        return self.files or self.db.with_name(f"{self.db.stem}.edits")


@dataclass(frozen=True)
class Done:
    """What became of one request: its edit and file, made now or `before`, or the reason why there is none."""

    request: Request
    target: Target | None = None
    made: "Made | None" = None
    file: Path | None = None
    before: bool = False
    error: AtlasError | None = None

    @property
    def rates(self) -> dict[str, float]:
        """How often each measure was reached: see `rates_of`."""
        return rates_of(self.made.outcomes) if self.made else {}


def rates_of(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the share of prompts by measure: the new answer is the argmax; for locality and neighbours, the argmax
    is the one of before. Paraphrases count where the model knew the old answer. `written` and `written elsewhere` are
    the shares of edited prompts and of others after which the model wrote the new object.
    """
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in outcomes:
        if row["measure"] in ("locality", "neighbour"):
            groups[row["measure"]].append(row["same_argmax"])
        elif row["measure"] != "paraphrase" or row["known"]:
            groups[row["measure"]].append(row["argmax_after"])
        if row["says_new"] is not None:
            groups["written" if row["measure"] == "efficacy" else "written elsewhere"].append(row["says_new"])
    return {measure: sum(group) / len(group) for measure, group in groups.items()}


def edit_facts(options: EditOptions, requests: Sequence[Request], progress: Progress | None = None) -> list[Done]:
    """Make all edits, record them in the atlas, and return what became of each, in order.

    A request that cannot be met stands in its place with its error. Raises UsageError, StoreError and ModelError where
    nothing can be done at all; a folder to `save` into must be new or empty.
    """
    progress = progress or Progress()
    check_file(options.db)
    with atlas.open(options.db, "a") as writer:
        _check_place(writer, options.save)
        options = understood(writer, options)
        asked = {"run": options.run, "at": options.at, "method": options.source}
        run = run_to_edit(writer, options.model, asked, options.folder, progress)
        tell(writer, run, options, progress)
        prompts = Prompts(stored_facts(writer))
        targets = [_target(writer, request, prompts) for request in requests]
        if len(targets) == 1 and isinstance(targets[0], AtlasError):
            return [Done(requests[0], error=targets[0])]
        settings = _settings(options)
        progress.step(f"loading model {run.name}")
        job = _Job(options, writer, run, settings, _loaded(options, run), prompts)
        done = list(_each(job, list(zip(requests, targets, strict=True)), progress))
        if options.in_a_row and len(done) > 1:
            done = [job.ask_again(one) for one in done]
        job.warn(done, progress)
        job.save(done)
    return done


def _check_place(writer: "Writer", folder: Path | None) -> None:
    """Raise UsageError unless a model may be saved into `folder`, or was and the atlas does not say so yet."""
    there = None if folder is None else saved(folder)
    if folder is not None and (there is None or is_noted(writer, there)):
        outputs.check_empty(folder, "--save")


def save_model(model: "LanguageModel", folder: Path, what: Saved) -> None:
    """Write a folder that `from_pretrained` opens: weights as safetensors, configuration and tokenizer.

    Weights that were there, in shards or pickled, make room for them: some programs would read those. Raises StoreError
    where the disk refuses; what was there then stays.
    """
    with outputs.noted_folder(folder, "--save", asdict(what), _WEIGHTS) as part:
        try:
            model.model.save_pretrained(part)  # type: ignore[operator]
            model.tokenizer.save_pretrained(part)
        except SafetensorError as error:  # what its library makes of a full disk
            raise OSError(str(error)) from error


def _target(writer: "Writer", request: Request, prompts: Prompts) -> Target | AtlasError:
    """Return what a request means, or why nothing can come of it."""
    try:
        return understand(understood(writer, request), prompts, writer.fact_ids(request.fact))
    except AtlasError as error:
        return error


def _each(job: "_Job", asked: Sequence[tuple[Request, Target | AtlasError]], progress: Progress) -> Iterator[Done]:
    with progress.counting(len(asked), "edits"):
        for request, target in asked:
            try:
                if isinstance(target, AtlasError):
                    raise target
                yield job.edit(request, target)
            except AtlasError as error:
                yield Done(request, error=error)
            progress.advance(1)


@dataclass
class _Job:
    """All parts of the job at hand."""

    options: EditOptions
    writer: "Writer"
    run: StoredRun
    settings: EditSettings
    model: "LanguageModel"
    prompts: Prompts

    def edit(self, request: Request, target: Target) -> Done:
        """Make one edit, or read back that of before; with `together`, leave it in the model."""
        from atlas.editing.again import made_before
        from atlas.editing.applying import apply_edit
        from atlas.editing.making import make_edit

        asked = (self.model, target, self.prompts, self._choices(target), self.settings)
        before = made_before(self.writer, self.options.folder, *asked, self.options.generate)
        run = None if asked[3][0].source == "file" else self.run.run
        made = before or make_edit(
            *asked, run=run, force=self.options.force, budget=self.options.bytes, generate=self.options.generate
        )
        path = edit_path(self.options.folder, made.edit.record.id)
        if not before:
            self._record(made, path)
        if made.converged and self.options.in_a_row:
            apply_edit(self.model, made.edit)
            made = made.within(self.model, self.options.bytes) if before else made
        return Done(request, target, made, path if made.converged else None, bool(before))

    def ask_again(self, done: Done) -> Done:
        """Ask an edit's prompts after all later edits, and record what is left of it."""
        if done.made is None or not done.made.converged:
            return done
        rows, edit = done.made.retained(self.model, self.options.bytes), done.made.edit.record.id
        with self.writer.transaction():
            self.writer.sql("DELETE FROM edit_outcome WHERE edit = ? AND measure = 'retention'", [edit])
            self.writer.load("edit_outcome", outcome_rows(edit, rows))
        return replace(done, made=replace(done.made, outcomes=[*done.made.outcomes, *rows]))

    def warn(self, done: Sequence[Done], progress: Progress) -> None:
        """Tell what speaks against the neurons that were edited; not of a file's nor of random ones."""
        kind = self.options.neurons
        facts = {one.target.fact.id for one in done if one.target and one.made}
        if facts and kind in KINDS and not self.options.control:
            for text in doubts(self.writer, self.run.run, self.options.definition, facts):
                progress.warn(text)

    def save(self, done: Sequence[Done]) -> None:
        """Save the model where that is asked for, and say of the edits that they are in a saved one."""
        folder = self.options.save
        made = tuple(one.made.edit.record.id for one in done if one.made and one.made.converged)
        if folder is None or not made:
            return
        all_applied = Saved(made, "applied")
        if saved(folder) != all_applied:
            outputs.check_empty(folder, "--save")
            save_model(self.model, folder, all_applied)
        note(self.writer, all_applied)

    def _choices(self, target: Target) -> list[Choice]:
        options = self.options
        if options.neurons not in KINDS:
            found = [listed_neurons(options.neurons)]
        else:
            found = choices(
                self.writer, self.run.run, options.definition, options.neurons,  # type: ignore[arg-type]
                target.fact, target.languages, options.least_languages,
            )  # fmt: skip
        if options.control:
            shape = (self.model.info.layers, self.model.info.neurons)
            found = random_choices(
                found, shape, target.fact.id, self.settings.seed, grow=options.grow, elsewhere=options.other_layers
            )
        return found

    def _record(self, made: "Made", path: Path) -> None:
        """Write the edit's file and rows, in place of those of the same edit made before."""
        from atlas.editing.again import how_made

        record = made.edit.record
        digest = made.edit.save(path) if made.converged else ""
        status = "made" if made.converged else "not_converged"
        file = path.name if self.options.files is None else str(path.resolve())
        how = how_made(made, self.options.generate)
        row = edit_row(record, made.edit.neurons, self.run.model, status=status, file=file, digest=digest, how=how)
        with self.writer.transaction():
            self.writer.add_prompts([question.prompt for question in made.questions])
            for table in ("edit", "edit_outcome"):
                self.writer.sql(f"DELETE FROM {table} WHERE edit = ?", [record.id])
            self.writer.load("edit", row)
            self.writer.load("edit_outcome", outcome_rows(record.id, made.outcomes))


def _loaded(options: EditOptions, run: StoredRun) -> "LanguageModel":
    from atlas.editing.outcomes import check_writes

    model = options.load_of(run)
    if options.generate:
        check_writes(model)
    return model


def _settings(options: EditOptions) -> EditSettings:
    if options.neurons not in KINDS:
        listed_neurons(options.neurons)
    if not options.control and (options.other_layers or options.grow):
        raise UsageError("--other-layers and --grow say which random neurons --control takes; add --control.")
    settings = checked(EditSettings, options.settings)
    if settings.method != "fit" and "steps" in options.settings:
        raise UsageError(f"--steps is for --method fit alone, not for {settings.method}; leave it out.")
    return settings
