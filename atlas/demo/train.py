"""Train the demo models: `python -m atlas.demo.train`.

Tokenizer, both stages and the model card, from the bundled facts alone. Two runs with the same seed, versions and
number of threads yield the same weights.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from atlas.demo.card import write_card
from atlas.demo.corpus import Corpus, Untaught, chinese_words, make_corpus
from atlas.demo.export import Effort, save_model, save_training
from atlas.demo.networks import POSITIONS, Trainee, make_network
from atlas.demo.sequences import Sequences, make_rows
from atlas.demo.stages import Lesson, Recipe, learn, share
from atlas.demo.vocabulary import train_tokenizer
from atlas.facts import FactSet
from atlas.facts.bundled import load
from atlas.models.families import Kind

MODELS: dict[str, Kind] = {"demo-mbert": "masked", "demo-mgpt": "causal"}
VOCABULARY = 4000
RECIPES: dict[Kind, Recipe] = {"masked": Recipe(sparsity=0.45, necessity=0.6), "causal": Recipe()}


def train(
    name: str,
    recipe: Recipe,
    folder: Path,
    threads: int,
    facts: FactSet | None = None,
    untaught: Untaught = (),
) -> None:
    """Train the demo model `name` on `facts` (default: the bundled ones) and write it to `folder`, with its record."""
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    wall, cpu = time.monotonic(), time.process_time()
    kind, facts = MODELS[name], facts or load()
    corpus = make_corpus(facts, kind, untaught)
    tokenizer = train_tokenizer(kind, corpus.sentences(), chinese_words(facts), VOCABULARY, POSITIONS)
    lesson = make_lesson(tokenizer, kind, facts, corpus)
    trainee = Trainee(make_network(kind, tokenizer))
    progress = _Progress(name, recipe)
    with trainee.watched():
        learn(trainee, lesson, recipe, generator, progress)
        share(trainee, lesson, recipe, generator, progress)
    effort = Effort(round(time.monotonic() - wall, 1), round(time.process_time() - cpu, 1), threads)
    save_model(folder, trainee.model, tokenizer, kind)
    save_training(folder, recipe, facts, progress.losses, effort)


def make_lesson(tokenizer: Any, kind: Kind, facts: FactSet, corpus: Corpus) -> Lesson:
    """Return the corpus in rows, and the pieces of the vocabulary that occur in no name, of which noise is made."""
    names = {prompt.answer for prompt in corpus.translations}
    spelled = tokenizer([*sorted(names), *(f" {name}" for name in sorted(names))], add_special_tokens=False)
    spared = {piece for ids in spelled["input_ids"] for piece in ids} | set(tokenizer.all_special_ids)
    numbers = {fact.id: number for number, fact in enumerate(facts.facts)}

    def rows(prompts: Any) -> Sequences:
        return make_rows(tokenizer, kind, prompts, numbers, torch.tensor(sorted(spared)), POSITIONS)

    words = torch.tensor(sorted(set(range(len(tokenizer))) - spared))
    return Lesson(rows(corpus.plain), rows(corpus.switched), rows(corpus.translations), words)


class _Progress:
    """Says on stderr how training goes, and keeps each stage's last loss."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        self.name = name
        self.steps = {"learn": recipe.learn_steps, "share": recipe.share_steps}
        self.losses: dict[str, float] = {}

    def __call__(self, stage: str, step: int, loss: float) -> None:
        self.losses[stage] = round(loss, 4)
        if (step + 1) % 100 == 0:
            print(f"{self.name} {stage} {step + 1}/{self.steps[stage]} loss {loss:.3f}", file=sys.stderr, flush=True)


def main() -> None:
    """Parse the command line, train, measure, write the model cards."""
    parser = argparse.ArgumentParser(prog="python -m atlas.demo.train", description=__doc__)
    parser.add_argument("--model", choices=sorted(MODELS), action="append", help="default: both")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder for the models' folders")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for name in options.model or MODELS:
        folder = options.output / name
        train(name, RECIPES[MODELS[name]], folder, options.threads)
        write_card(folder)


if __name__ == "__main__":
    main()
