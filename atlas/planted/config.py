"""What can be planted: the shape of the model and the circuits written into it (METHOD 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from atlas.errors import ModelError, UsageError

FactKind = Literal[
    "knowledge", "independent", "bound", "degenerate", "backup", "additive", "attention", "recalled", "shared recall",
    "several", "polysemous",
]  # fmt: skip
DecoyKind = Literal["silent", "unfired", "constant"]
SuppressorKind = Literal["suppressor"]
Kind = Literal[FactKind, DecoyKind, SuppressorKind]
RECALL_KINDS = ("recalled", "shared recall")
"""Circuits that work at the subject's last token."""
FACT_KINDS: tuple[str, ...] = get_args(FactKind)
DECOY_KINDS: tuple[str, ...] = get_args(DecoyKind)
SUPPRESSOR_KINDS: tuple[str, ...] = get_args(SuppressorKind)


class PlantingError(ModelError):
    """A planted circuit does not do what it should; the background is too strong for it."""


FIXED_COORDINATES = 12
"""Coordinates of the ballast and the flags, and the one more that each of four bases takes."""


@dataclass(frozen=True, slots=True)
class PlantConfig:
    """The model that circuits are planted into.

    `background` is the strength of the random weights: every matrix starts as Gaussian noise of standard deviation
    `background / sqrt(inputs)`, so that 1 is a usual fresh network. `neurons` is the width of a feed-forward layer.
    `language_lead` is by how many logits the words of the language spoken are ahead of their translations: below some
    15, the answer's own translations are what it competes with once several neurons write it, and its probability no
    longer depends on them at all.
    """

    family: Literal["bert", "gpt2"] = "bert"
    layers: int = 4
    hidden: int = 64
    neurons: int = 256
    heads: int = 4
    languages: tuple[str, ...] = ("en", "de", "zh")
    relations: int = 2
    templates: int = 2
    background: float = 0.1
    language_lead: float = 20.0

    def __post_init__(self) -> None:
        if self.family not in ("bert", "gpt2"):
            raise UsageError(f"Circuits cannot be planted in family {self.family!r}; use bert or gpt2.")
        if min(self.layers, self.heads, self.relations, self.templates, len(self.languages)) < 1:
            raise UsageError("A planted model needs at least one layer, head, relation, template and language.")
        if self.hidden % self.heads:
            raise UsageError(f"Width {self.hidden} is not a multiple of {self.heads} heads; change one of them.")
        if not 0 <= self.background < float("inf"):
            raise UsageError(f"Background strength {self.background} is not a number from 0 up.")

    @property
    def carrying(self) -> int:
        """The block whose attention carries what was recalled at the subject to the query."""
        return self.layers // 2

    def check_room(self, facts: int, *, recall: bool = False) -> None:
        """Raise UsageError if the residual stream or the heads cannot hold that many facts, some recalled or none."""
        needed = FIXED_COORDINATES + 2 * len(self.languages) + 2 * facts + (1 + facts if recall else 0)
        if needed > self.hidden:
            raise UsageError(f"{facts} facts need a model at least {needed} wide, not {self.hidden}; raise `hidden`.")
        width = self.hidden // self.heads
        heads = -(-facts // width) - (-len(self.languages) // width)
        if heads > self.heads:
            raise UsageError(f"{facts} facts need {heads} heads of width {width}, not {self.heads}; raise `hidden`.")


@dataclass(frozen=True, slots=True)
class Circuit:
    """One circuit of one fact (a number from 0).

    What makes the model answer (one such circuit a fact):

    - `knowledge`: one neuron per language, each fires on the subject in its language and writes the object;
    - `independent`: one neuron fires on the subject in all languages (a true LIKN);
    - `bound`: one neuron in one language; in the others the model does not know the fact;
    - `degenerate`: two or three neurons, each enough alone; with `indispensable`, beside a neuron of that layer that
      is needed too;
    - `backup`: the second neuron acts only when the first is cut, and then does its work;
    - `additive`: two neurons that each add half of what they add, on top of a path through attention: not degenerate;
    - `several`: a neuron for all languages, and beside it one for each language, each enough alone: two circuits;
    - `polysemous`: two facts, this and the next, of three neurons: one fires on both subjects and writes both objects,
      and each fact has one more that says which; all are needed;
    - `attention`: no neuron at all, a path from the subject straight to the object: there is nothing to find;
    - `recalled`: one neuron fires on the subject at its own token alone, in all languages, and writes the object there;
      attention carries it to the query;
    - `shared recall`: one such neuron; what it writes, attention carries to the query, where a neuron of each language
      makes it the object.

    Decoys, which may join any fact: `silent` fires on the subject and writes nothing, `unfired` writes the object and
    never fires, `constant` fires on everything and pushes all objects.

    A `suppressor`, which may join any fact, fires on the subject and takes from the answer's log-odds: a suppressing
    neuron, and no knowledge neuron.

    `layers` holds a layer per neuron; empty, the seed draws them. `languages` empty means all.
    """

    kind: Kind
    fact: int
    layers: tuple[int, ...] = ()
    languages: tuple[str, ...] = ()
    size: int = 2
    indispensable: int | None = None

    @property
    def is_decoy(self) -> bool:
        """True for neurons that are knowledge of nothing."""
        return self.kind in DECOY_KINDS

    @property
    def suppresses(self) -> bool:
        """True for neurons that work against the answer."""
        return self.kind in SUPPRESSOR_KINDS

    @property
    def answers(self) -> bool:
        """True for what makes the model answer: neither a decoy nor a suppressor."""
        return self.kind in FACT_KINDS

    @property
    def facts(self) -> tuple[int, ...]:
        """The facts that it is of."""
        return (self.fact, self.fact + 1) if self.kind == "polysemous" else (self.fact,)

    @property
    def group(self) -> str:
        """The kind as the tables name it: which degenerate sets lie across layers, or beside a needed neuron."""
        if self.kind != "degenerate":
            return self.kind
        place = "within" if len(set(self.layers)) == 1 else "across"
        return f"degenerate-{len(self.layers)}-{place}" + ("" if self.indispensable is None else "-beside")

    def members(self, languages: Sequence[str]) -> int:
        """Return how many neurons the circuit has, without an indispensable one."""
        each = len(self.languages or languages)
        counts = {"knowledge": each, "degenerate": self.size, "backup": 2, "additive": 2, "shared recall": 1 + each}
        counts |= {"several": 1 + each, "polysemous": 3}
        return (counts | {"attention": 0}).get(self.kind, 1)
