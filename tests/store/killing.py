"""Rounds of work that is killed. Run as a program: its processes are forked before DuckDB has started a thread.

python killing.py KIND PATH ROUNDS SEED      prints the number of probes after each round
"""

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store.world import World, batch, count_probes, fill, random_world

import atlas
from atlas.store import upgrading

WORLD = random_world(12)
FORK = multiprocessing.get_context("fork")


def load(path, tell=lambda: None):
    """Make the atlas if it is missing and load the world, one prompt to a transaction."""
    with atlas.open(path, "a") as opened:
        tell()
        opened.add_facts(WORLD.facts())
        opened.add_prompts(WORLD.prompt(probe) for probe in WORLD.probes)
        run = fill(opened, World(WORLD.relations, ()))
        for number in range(len(WORLD.probes)):
            tell()
            opened.load_batch(batch(WORLD, run, [number]))
        opened.finish_run(run)
        tell()


def upgrade(path, tell=lambda: None):
    """Bring the atlas to this version, and tell of the steps."""
    tell()
    for name in ("migrate", "_refuse", "_mend", "finish"):
        setattr(upgrading, name, _telling(getattr(upgrading, name), tell))
    upgrading.upgrade(path)


def _telling(step, tell):
    def told(*arguments):
        tell()
        return step(*arguments)

    return told


WORK = {"load": (load, range(len(WORLD.probes) + 1)), "upgrade": (upgrade, (2, 5, 6))}
"""By kind, and after how many steps it is killed: a load at every prompt, an upgrade that migrates, finishes, swaps."""


def _for_ever(work, path, out):
    while True:
        work(path, lambda: os.write(out, b"."))


def _killed(work, path, steps, chance):
    """Let `work` go on until it has told of so many steps and a moment more has passed, then kill it."""
    told, out = os.pipe()
    process = FORK.Process(target=_for_ever, args=(work, path, out))
    process.start()
    os.close(out)
    for _ in range(steps):
        os.read(told, 1)
    time.sleep(chance.uniform(0, 0.02))
    process.kill()
    process.join()
    os.close(told)


def _counted(path):
    """Count the probes in a process of its own, so that this one stays without threads."""
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: sender.send(count_probes(path) if path.exists() else 0))
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def main(kind, path, rounds, seed):
    """Kill as often as asked for, and print how many probes are there after each."""
    chance, (work, steps) = random.Random(int(seed)), WORK[kind]
    for told in chance.sample(steps, int(rounds)):
        _killed(work, Path(path), told, chance)
        print(_counted(Path(path)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
