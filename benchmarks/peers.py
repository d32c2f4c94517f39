"""The atlas beside its peers and beside its own hook-based reference: the same prompts, in turn, in one process."""

from collections.abc import Sequence

from atlas.attribution import Settings
from atlas.facts import Prompt
from atlas.models import LanguageModel
from benchmarks import rivals
from benchmarks.job import Job, Scores, alternate, atlas_side, each, error, mbert
from benchmarks.models import mgpt_width, real_prompts, word_tokenizer
from benchmarks.tables import Cell, Table

RIVALS = {"knowledge-neurons, 20 steps": rivals.knowledge_neurons, "captum, 20 Gauss nodes": rivals.captum}
PATHS = {
    "atlas kn, the same 20 steps": Settings(method="kn", rule="peer-20"),
    "atlas kn, 20 Gauss nodes": Settings(method="kn", rule="gauss-legendre", nodes=20, max_nodes=20),
    "atlas kn": Settings(method="kn"),
    "atlas amig": Settings(method="amig"),
    "atlas kn, gauss-legendre": Settings(method="kn", rule="gauss-legendre"),
    "atlas amig, gauss-legendre": Settings(method="amig", rule="gauss-legendre"),
    "atlas kn, clenshaw-curtis": Settings(method="kn", rule="clenshaw-curtis"),
    "atlas amig, clenshaw-curtis": Settings(method="amig", rule="clenshaw-curtis"),
}


def masked(job: Job) -> list[Table]:
    """Seconds per prompt and error: knowledge-neurons, captum and the atlas, zero baseline, one token's answer."""
    model, prompts = mbert(job, job.shared_prompts, single=True)
    sides = {name: each(run, model) for name, run in RIVALS.items()}
    sides |= {name: atlas_side(model, settings) for name, settings in PATHS.items()}
    found = alternate(sides, [prompts])
    exact = _exact(model, prompts[:1], 32 if job.quick else 256)
    first, second = (found[name][0] for name in RIVALS)
    rows: list[Sequence[Cell]] = [
        (name, seconds, first / seconds, second / seconds, _error(name, scores, exact))
        for name, (seconds, scores) in found.items()
    ]
    nodes = "32 (in full: 256)" if job.quick else "256"
    return [
        Table(
            f"Side by side, mBERT size, per prompt, {len(prompts)} prompts",
            ("engine", "seconds", "times knowledge-neurons", "times captum", "error"),
            rows,
            "The other engines take one prompt at a time. Error, on the first prompt: largest difference of a score "
            f"from {nodes} Gauss nodes in float64, over the largest. `amig` has other baselines, and one path for each "
            "word.",
        )
    ]


def causal(job: Job) -> list[Table]:
    """The fast path against the hook-based reference on a causal model of mGPT's width, four layers."""
    count = 3 * job.shared_prompts
    fitting = [p for p in real_prompts(200, ("en", "es", "fr")) if p.template.ends_in_object]
    prompts = fitting[:: len(fitting) // count][:count]
    model = mgpt_width(word_tokenizer([p.before + p.answer for p in prompts], 20_000))
    model.model.to(job.device)
    sides = {
        "hook-based reference": each(rivals.reference, model),
        "atlas": atlas_side(model, PATHS["atlas kn, 20 Gauss nodes"]),
    }
    (slow, wanted), (fast, scores) = alternate(sides, [prompts]).values()
    return [
        Table(
            f"Causal model of mGPT's width, 4 layers, 20 Gauss-Legendre nodes, per prompt, {len(prompts)} prompts",
            ("path", "seconds", "times the reference", "difference"),
            [("hook-based reference", slow, 1.0, 0.0), ("atlas", fast, slow / fast, error(scores, wanted))],
        )
    ]


def _exact(model: LanguageModel, prompts: Sequence[Prompt], nodes: int) -> list[Scores]:
    """Return the zero-baseline scores by `nodes` nodes in float64."""
    dtype = model.dtype
    model.model.double()
    every = Settings(method="kn", rule="gauss-legendre", nodes=nodes, max_nodes=nodes)
    exact = atlas_side(model, every)(prompts)
    model.model.to(dtype)
    return exact


def _error(name: str, found: Sequence[Scores], exact: Sequence[Scores]) -> float | None:
    return None if name.startswith("atlas amig") else error(found[: len(exact)], exact)
