"""A small planted model with its facts in folders, for benchmarks in which commands matter and not numbers."""

import csv
from pathlib import Path

CONFIG = {"layers": 2, "hidden": 32, "heads": 2, "neurons": 32, "languages": ("en", "fr"), "relations": 1}
CIRCUITS = ("independent", "independent", "independent", "knowledge", "knowledge", "degenerate")


def make_model(folder: Path) -> None:
    """Plant six facts in two languages; the model is `folder`/model, the facts are `folder`/facts."""
    from atlas.planted import Circuit, PlantConfig, plant

    circuits = [Circuit(kind, fact) for fact, kind in enumerate(CIRCUITS)]  # type: ignore[arg-type]
    planted = plant(PlantConfig(**CONFIG), circuits)  # type: ignore[arg-type]
    planted.model.save_pretrained(folder / "model")
    planted.tokenizer.save_pretrained(folder / "model")
    (folder / "facts").mkdir()
    with (folder / "facts" / "facts.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["relation", "language", "subject", "object", "subject_key", "object_key"])
        for fact in planted.facts.facts:
            for language, label in fact.labels.items():
                table.writerow([fact.relation, language, label.subject, label.object, fact.subject, fact.object])
    with (folder / "facts" / "templates.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["relation", "language", "template", "held_out"])
        for each in planted.facts.templates:
            table.writerow([each.relation, each.language, each.text, int(each.held_out)])
