"""Side by side with `knowledge-neurons` 0.0.2: one 9-token prompt, mBERT's size, the peer's own rule.

    python -m benchmarks.peers

Both are timed in turn in one process; the ratio and the largest difference of the scores are printed.
"""

import sys
import warnings

import numpy as np
import torch

from atlas.attribution import Settings, attribute
from benchmarks.clock import timed
from benchmarks.models import make_prompt, mbert_size, word_tokenizer

SENTENCE = "the capital of France is [Y] ."


def main() -> int:
    """Print the ratio and the agreement; return 1 if the scores differ by more than 1e-4 of the largest."""
    from knowledge_neurons import KnowledgeNeurons

    prompt = make_prompt(SENTENCE.replace("France", "[X]"), "France", "Paris")
    tokenizer = word_tokenizer([SENTENCE, "Paris"])
    model = mbert_size(tokenizer)
    model.model.requires_grad_(True)
    peer = KnowledgeNeurons(model.model, tokenizer, model_type="bert", device="cpu")
    text = SENTENCE.replace("[Y]", "[MASK]")
    peer_seconds, theirs = timed(lambda: peer.get_scores(text, "Paris", batch_size=20, steps=20, pbar=False))
    model.model.requires_grad_(False)
    same, ours = timed(lambda: attribute(model, [prompt], Settings(method="kn", rule="peer-20", floor=0)))
    adaptive, _ = timed(lambda: attribute(model, [prompt], Settings(method="kn", floor=0)))
    nodes, _ = timed(lambda: attribute(model, [prompt], Settings(method="kn", nodes=20, max_nodes=20, floor=0)))
    scores = theirs.detach().numpy()
    difference = float(np.abs(ours[0].scores - scores).max() / np.abs(scores).max())
    print(f"{torch.get_num_threads()} threads, {len(model.steps(prompt)[0].ids)} tokens, 12 layers of 3072 neurons")
    print(f"knowledge-neurons, 20 steps           {peer_seconds:8.2f} s")
    print(f"atlas, the same 20 steps              {same:8.2f} s   {peer_seconds / same:6.1f}x")
    print(f"atlas, 20 Gauss-Legendre nodes        {nodes:8.2f} s   {peer_seconds / nodes:6.1f}x")
    print(f"atlas, adaptive (--method kn)         {adaptive:8.2f} s   {peer_seconds / adaptive:6.1f}x")
    print(f"largest difference of the scores under the peer's rule: {difference:.1e} of the largest score")
    return int(difference > 1e-4)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
