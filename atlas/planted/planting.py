"""Plant circuits into a random model (METHOD 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from atlas.facts import FactSet
from atlas.models import LanguageModel, Position
from atlas.models.scaling import Scope
from atlas.planted.ablation import check_all
from atlas.planted.config import RECALL_KINDS, Circuit, PlantConfig
from atlas.planted.readings import Readings
from atlas.planted.truth import Truth, truth_of
from atlas.planted.writing.fitting import Fitter
from atlas.planted.writing.members import Member, expand, place_all
from atlas.planted.writing.skeleton import write_carrying, write_copying, write_output, write_words
from atlas.planted.writing.space import Space, share_out
from atlas.planted.writing.weights import fill_with_noise, fresh_model, open_head, weights_of
from atlas.planted.writing.words import fact_set, tokenizer_for


@dataclass(frozen=True, slots=True)
class Planted:
    """A transformers model with circuits in its weights, its fast tokenizer, its facts, and what was planted.

    `truth` is what is at the query, `recalled` what is at the subject's last token.
    """

    model: Any
    tokenizer: Any
    facts: FactSet
    truth: Truth
    recalled: Truth

    def language_model(self, name: str = "planted") -> LanguageModel:
        """Return the model wrapped as the rest of the atlas takes it."""
        return LanguageModel.wrap(self.model, self.tokenizer, name)

    def truth_at(self, at: Position) -> Truth:
        """Return what a correct locator finds `at` a position."""
        return self.truth if at == "query" else self.recalled


def plant(config: PlantConfig, circuits: Sequence[Circuit], seed: int = 0) -> Planted:
    """Write `circuits` into a fresh model of random weights and check each by ablation; equal input, equal weights.

    Raises UsageError for circuits that make no sense in this model, PlantingError if a circuit does not do what it is
    for, as happens when the background is too strong.
    """
    generator = torch.Generator().manual_seed(seed)
    placed = place_all(circuits, config, generator)
    count = 1 + max(fact for circuit in placed for fact in circuit.facts)
    facts = fact_set(config, count)
    tokenizer = tokenizer_for(config, facts)
    recall = any(circuit.kind in RECALL_KINDS for circuit in placed)
    space = share_out(config, count, generator, recall=recall)
    members = expand(placed, config, space, generator)
    with torch.no_grad():
        model = _noise(config, tokenizer, generator)
        _write(config, space, placed, members, facts, tokenizer, model)
    positions: tuple[Position, ...] = ("query", "subject")
    truth, recalled = (truth_of(members, facts, config.languages, at, placed) for at in positions)
    return Planted(model, tokenizer, facts, truth, recalled)


def _noise(config: PlantConfig, tokenizer: Any, generator: torch.Generator) -> Any:
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    model = fresh_model(config, len(tokenizer), special)
    fill_with_noise(model, config.background, generator)
    return model


def _write(
    config: PlantConfig,
    space: Space,
    circuits: Sequence[Circuit],
    members: Sequence[Member],
    facts: FactSet,
    tokenizer: Any,
    model: Any,
) -> None:
    """Write everything into a model of random weights, fit it and check it."""
    ids = tokenizer.get_vocab()
    open_head(model)
    weights = weights_of(model)
    write_words(weights, space, config, facts, ids)
    write_copying(weights.blocks[0], space, config.heads)
    write_output(weights, space, config, ids, sum(m.circuit.kind == "constant" for m in members))
    if len(space.recalled):
        shared = {m.fact for m in members if m.circuit.kind == "shared recall"}
        write_carrying(weights.blocks[config.carrying], space, config.heads, shared)
    scope: Scope = "all" if len(space.recalled) else "query"
    readings = Readings(LanguageModel.wrap(model, tokenizer, "planted"), list(facts.prompts()), scope)
    fitter = Fitter(weights, space, members, readings, circuits)
    fitter.fit()
    check_all(fitter)
