"""Running later blocks again from a trace, against the whole model."""

import pytest
import torch
from tiny import PROMPTS

from atlas.editing.problem import joined_at_query
from atlas.engine.batches import StepBatch
from atlas.engine.replay import rerun
from atlas.engine.tracing import trace
from atlas.models.hooks import neurons_replaced
from atlas.models.readout import features_of_ids


@pytest.mark.parametrize("start", [0, 1, 2])
def test_rerun_equals_the_whole_model_as_it_is_now(tiny, start):
    step = tiny.steps(PROMPTS[0])[0]
    batch = StepBatch.of(tiny, [step] * 2)
    record = trace(tiny, batch)
    assert torch.allclose(rerun(record, start), record.features, atol=1e-12)
    with neurons_replaced(tiny, {layer: lambda neurons: neurons * 1.5 for layer in range(start, 3)}):
        whole = features_of_ids(tiny, batch.ids, batch.query)
        again = rerun(record, start)
    assert not torch.allclose(whole, record.features)
    assert torch.allclose(again, whole, atol=1e-12)


def test_queries_of_all_lengths_join_in_the_last_block(tiny):
    records = []
    for step in (step for prompt in PROMPTS for step in tiny.steps(prompt)):
        records.append(trace(tiny, StepBatch.of(tiny, [step])))
    joined = joined_at_query(records)
    with neurons_replaced(tiny, {2: lambda neurons: neurons * 1.5}):
        apart = torch.cat([rerun(record, 2) for record in records])
        assert torch.allclose(rerun(joined, 2), apart, atol=1e-12)
