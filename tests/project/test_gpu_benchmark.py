"""The benchmark of GPUs where there is none, and how many prompts a row takes."""

import pytest
import torch

from benchmarks import gpu


def test_without_a_gpu_it_says_so_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "torch finds no GPU here; run this where there is one, or add --device cpu --quick.\n"


@pytest.mark.parametrize(("share", "runs"), [(-1, [2]), (3600, [2, 4, 8, 10])])
def test_a_row_takes_twice_as_many_prompts_again_while_its_time_allows(share, runs):
    taken = []
    prompts, seconds, peak = gpu._measured(lambda some: taken.append(len(some)), range(10), share, torch.device("cpu"))
    assert taken == runs
    assert prompts == runs[-1]
    assert seconds >= 0
    assert peak is None
