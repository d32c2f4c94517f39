"""A neuron's tokens, against the model itself: doubling the neuron's value changes the logits that way."""

import pytest
import torch

from atlas.engine.value_vectors import DIRECTIONS, neuron_tokens
from atlas.models.readout import output_matrix


@pytest.mark.parametrize("layer", [0, 2])
def test_tokens_are_the_extremes_of_value_vector_times_output_embedding(tiny, layer):
    rows = neuron_tokens(tiny, layer, [3, 7], top=4).to_pylist()
    embedding = output_matrix(tiny)[0]
    for neuron in (3, 7):
        written = embedding @ tiny.value_vectors(layer)[neuron]
        for direction, sign in DIRECTIONS:
            mine = [row for row in rows if (row["neuron"], row["direction"]) == (neuron, direction)]
            order = sorted(range(len(written)), key=lambda token: -sign * float(written[token]))[:4]
            assert [row["rank"] for row in mine] == [1, 2, 3, 4]
            assert [tiny.tokenizer.get_vocab()[row["token"]] for row in mine] == order
            assert [row["text"] for row in mine] == [tiny.tokenizer.decode([token]) for token in order]
            assert torch.allclose(torch.tensor([row["score"] for row in mine]), written[order].float())
