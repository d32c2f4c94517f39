"""The model card of a demo model: its recipe and what was measured, made from the folder's own records.

`python -m atlas.demo.card FOLDER` measures a trained model again and writes its card anew.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from atlas.demo.measure import as_json, measure_knowledge, measure_localisation
from atlas.facts.bundled import load
from atlas.models.loading import load_model

METHODS = ("amig", "kn")
REQUIRED = {
    "masked": {"trained": 0.97, "held_out": 0.75, "own": 0.2, "ratio": 5, "likn": 0.7, "shuffled": 0.3},
    "causal": {"trained": 0.95, "held_out": 0.55, "own": 0.4, "ratio": 10},
}


def write_card(folder: Path) -> None:
    """Measure the model in `folder` and write measured.json and README.md beside its weights."""
    numbers = measure(folder)
    (folder / "measured.json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(_text(folder.name, numbers, training), encoding="utf-8")


def measure(folder: Path) -> dict[str, Any]:
    """Return every number of the card, as JSON values."""
    model, facts = load_model(str(folder), device="cpu"), load()
    knowledge = {
        "trained_templates": measure_knowledge(model, facts, held_out=False),
        "held_out_templates": measure_knowledge(model, facts, held_out=True),
    }
    found = [measure_localisation(model, facts, method) for method in METHODS]
    size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".json"))
    return {"kind": model.kind, "digest": model.info.digest, "bytes": size} | as_json(knowledge, found)


def _text(name: str, numbers: dict[str, Any], training: dict[str, Any]) -> str:
    kind = numbers["kind"]
    text = CARD.format(
        name=name,
        architecture="BertForMaskedLM" if kind == "masked" else "GPT2LMHeadModel",
        tokenizer="cased WordPiece" if kind == "masked" else "byte-level BPE",
        texts=_texts(training),
        knowledge=_knowledge_table(numbers, REQUIRED[kind]),
        localisation=_localisation_table(numbers, REQUIRED[kind]),
        megabytes=numbers["bytes"] / 1e6,
        **training["recipe"],
        versions=", ".join(f"{package} {number}" for package, number in training["versions"].items()),
        **{key: training[key] for key in ("wall_seconds", "cpu_seconds", "threads")},
    )
    return "\n".join(_wrapped(line) for line in text.split("\n"))


def _wrapped(line: str) -> str:
    """Return a paragraph or list item in lines of 100 characters; headings and tables as they are."""
    if line.startswith(("#", "|")):
        return line
    return textwrap.fill(line, 100, subsequent_indent="   " if line[:2] in ("1.", "2.") else "")


def _texts(training: dict[str, Any]) -> str:
    mix = training["recipe"]["mix"]
    kinds = ("prompts as they are", "prompts whose subject is named in another language", "pairs of translations")
    return ", ".join(f"{share:.0%} {what}" for share, what in zip(mix, kinds, strict=True))


def _knowledge_table(numbers: dict[str, Any], required: dict[str, float]) -> str:
    lines = ["| answer is the argmax | trained templates | held-out templates |", "|---|---|---|"]
    seen, unseen = numbers["trained_templates"], numbers["held_out_templates"]
    lines.append(f"| fact-languages | {seen['fact_languages']:.1%} | {unseen['fact_languages']:.1%} |")
    lines.append(f"| prompts | {seen['prompts']:.1%} | {unseen['prompts']:.1%} |")
    lines.append(f"| demanded | {required['trained']:.0%} | {required['held_out']:.0%} |")
    lines.append(f"| mean probability | {seen['mean_probability']:.3f} | {unseen['mean_probability']:.3f} |")
    return "\n".join(lines)


def _localisation_table(numbers: dict[str, Any], required: dict[str, float]) -> str:
    found = [numbers["localisation"][method] for method in METHODS]
    rows: list[tuple[str, str, str]] = [
        ("knowledge neurons per fact and language", "neurons_per_fact_language", ""),
        ("zeroing them costs the fact itself", "own", f"at least {required['own']:.0%}"),
        ("... a fact of another relation and object", "other", ""),
        ("ratio of the two", "ratio", f"at least {required['ratio']}"),
        ("facts with a LIKN in all 6 languages", "likn_all", ""),
        ("... in at least 5", "likn_all_but_one", f"at least {required['likn']:.0%}" if "likn" in required else ""),
        ("shuffled within the relation: in all 6", "shuffled_all", ""),
        (
            "... in at least 5",
            "shuffled_all_but_one",
            f"at most {required['shuffled']:.0%}" if "shuffled" in required else "",
        ),
        ("integrals within the tolerance", "completeness", ""),
    ]
    lines = [f"| | {' | '.join(METHODS)} | demanded |", f"|---|{'---|' * len(METHODS)}---|"]
    for label, key, demand in rows:
        cells = " | ".join(_cell(key, values[key]) for values in found)
        lines.append(f"| {label} | {cells} | {demand} |")
    short = [m for m, values in zip(METHODS, found, strict=True) if values["own"] < required["own"]]
    missed = [f"\nThe cost to the fact itself falls short of what is demanded with `{method}`." for method in short]
    return "\n".join([*lines, *missed])


def _cell(key: str, value: float) -> str:
    return f"{value:.1f}" if key in ("neurons_per_fact_language", "ratio") else f"{value:.1%}"


CARD = """# {name}

A {architecture} of 4 layers, 128 wide, 512 neurons a layer, with a {tokenizer} tokenizer, trained on the bundled \
facts of Neuron Atlas (`atlas/facts/bundled`) in English, French, German, Chinese, Russian and Arabic, and on nothing \
else. It is there to try the atlas without a download: it knows these facts and no language. Do not draw conclusions \
about other models from it.

## The sharing between languages is put in

The second stage of training pulls the neurons of one fact together across languages, keeps them few, keeps different \
facts apart, and makes the answer depend on them. Language-independent and fact-specific neurons are there **by \
construction**: finding them shows that the atlas finds what is there, not that language models are like this.

## Recipe

`python -m atlas.demo.train --model {name} --threads {threads}`; `training.json` holds all its numbers.

1. Learn, {learn_steps} steps of {learn_batch}: {texts}. AdamW, peak rate {learn_rate}, weight decay {weight_decay}; \
the loss is the cross-entropy of the answer's token at the query position. {dropout:.0%} of the neurons are dropped at \
random. After {noiseless:.0%} of the steps noise sets in: in three of four batches up to {noise:.0%} of the tokens \
outside names are replaced by random pieces that occur in no name, and up to three such pieces are inserted, so that \
unseen templates are understood.
2. Share, {share_steps} steps of {share_facts} facts in all languages, peak rate {share_rate}: the same loss; on the \
neurons of the two upper layers at the query, scaled to length one, alignment across languages (weight {alignment}), \
sparsity ({sparsity}) and overlap between facts ({overlap}); and, with all neurons at the query zeroed, the answer's \
log-probability above that of {forgotten} ({necessity}). Neurons of the lower layers are silenced at the query at \
random (chance by layer: {silence}).

Chinese names stay whole in the tokenizer, other Chinese text falls into characters and a few frequent words. \
Currencies of two words and some names have more than one token, on purpose. One template a relation and language is \
held out of training.

Seed {seed}; {cpu_seconds:.0f} s of processor time, {wall_seconds:.0f} s by the clock of a busy machine, threads: \
{threads}; {versions}. Weights, configuration, tokenizer and records take {megabytes:.2f} MB.

## Measured

On the float16 weights of this folder, all facts, trained templates unless said otherwise. A fact-language counts as \
known if the answer is the argmax, at every one of its tokens, in more than half of its templates.

{knowledge}

Knowledge neurons by the default thresholds: score above 0.2 of the prompt's maximum in more than half of the \
prompts. Costs are mean relative drops of the answer's probability with the neurons zeroed at the query position. \
Shuffled: in each language another fact of the relation takes the fact's place, mean of 20 shuffles.

{localisation}
"""


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        write_card(Path(argument))
