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
    found = alternate(sides, [prompts[::2], prompts[1::2]], together=PATHS)
    nodes = {"kn": 32, "amig": 16} if job.quick else {"kn": 256, "amig": 64}
    exact = {method: _exact(model, prompts[:1], method, count) for method, count in nodes.items()}
    first, second = (found[name][0] for name in RIVALS)
    rows: list[Sequence[Cell]] = [
        (name, seconds, first / seconds, second / seconds, error(scores[:1], exact[_method(name)]))
        for name, (seconds, scores) in found.items()
    ]
    return [
        Table(
            f"Side by side, mBERT size, per prompt, {len(prompts)} prompts",
            ("engine", "seconds", "times knowledge-neurons", "times captum", "error"),
            rows,
            "The others take one prompt at a time, the atlas all, twice, in turn; `amig` has a path for each word. "
            f"Error, on the first prompt: largest difference of a score from {nodes['kn']} Gauss nodes in float64 "
            f"({nodes['amig']} for `amig`), as a share of the largest.",
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


def _exact(model: LanguageModel, prompts: Sequence[Prompt], method: str, nodes: int) -> list[Scores]:
    """Return the scores of `method` by `nodes` nodes in float64."""
    dtype = model.dtype
    model.model.double()
    every = Settings(method=method, rule="gauss-legendre", nodes=nodes, max_nodes=nodes)
    exact = atlas_side(model, every)(prompts)
    model.model.to(dtype)
    return exact


def _method(name: str) -> str:
    """Return whose exact scores an engine is held to."""
    return PATHS[name].method if name in PATHS else "kn"
