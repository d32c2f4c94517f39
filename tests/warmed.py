"""Processes of their own that start at once, forked from one that has imported what commands that use models import.

That one has run nothing yet: no thread of DuckDB or torch is in it, and each fork is as fresh as a new process but for
its imports.
"""

import multiprocessing
import os
import signal
import sys

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "atlas.cli.commands.build",
        "atlas.building.job",
        "atlas.exam.job",
        "atlas.store.migrate",
        "alembic.runtime.migration",
        "duckdb_engine",
        "pandas",
        "pyarrow.compute",
        "rich.progress",
        "transformers.models.bert.modeling_bert",
    ]
)


class Running:
    """`work(*arguments)` in a process of its own, with a pipe as its stdout and a file as its stderr."""

    def __init__(self, folder, work, *arguments):
        self._said = folder / "stderr"
        reader, writer = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_work, args=(writer, self._said, work, arguments), daemon=True)
        self.process.start()
        writer.close()
        self._out = reader

    def read(self, count=1):
        """Return up to `count` bytes of what it wrote to stdout, none when it has ended."""
        return os.read(self._out.fileno(), count)

    def end(self):
        """Wait for its end; return its exit code, the rest of its stdout, and its stderr."""
        out = b"".join(iter(lambda: self.read(1 << 16), b""))
        self.process.join()
        self._out.close()
        return self.process.exitcode, out, self._said.read_text("utf-8") if self._said.exists() else ""

    def kill(self):
        """End it at once; return whether it was still running."""
        self.process.kill()
        code, *_ = self.end()
        return code == -signal.SIGKILL


def _work(out, said, work, arguments):
    os.dup2(out.fileno(), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    out.close()
    sys.exit(work(*arguments))


def command(*words):
    """Run a command; return its exit code."""
    from atlas.cli.main import main

    return int(main([str(word) for word in words]))


def telling_build(*words):
    """Run `atlas build`, one fact to a batch, and tell on stdout of each batch and of each load begun and ended."""
    from atlas.building import plan
    from atlas.cli.output.progress import TerminalProgress
    from atlas.running import work
    from atlas.store import Writer

    def tell(*_):
        os.write(1, b".")

    load = Writer.load_batch

    def load_and_tell(*arguments):
        tell()
        load(*arguments)
        tell()

    work.LOAD_PROMPTS = 6
    plan.MOST_PROMPTS = 1
    TerminalProgress.advance = tell
    Writer.load_batch = load_and_tell
    return command("build", *words)


def build_with_a_dying_worker(mark, *words):
    """Run `atlas build` on Ray workers, the first of which kills itself at its first batch and leaves `mark`."""
    from atlas.building import plan, ray

    class Dying:  # of this function, so that workers are sent it whole
        def __init__(self, *arguments):
            from atlas.building.ray import Actor

            self.actor = Actor(*arguments)

        def ready(self):
            return self.actor.ready()

        def tokens(self, layer, neurons):
            return self.actor.tokens(layer, neurons)

        def activations(self, prompts, neurons):
            return self.actor.activations(prompts, neurons)

        def labels(self, prompts):
            return self.actor.labels(prompts)

        def compute(self, run, batch):
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return self.actor.compute(run, batch)
            return os.kill(os.getpid(), signal.SIGKILL)

    plan.MOST_PROMPTS = plan.LEAST_PROMPTS = 1
    ray.Actor = Dying
    return command("build", *words)
