"""The attribution engine beside its peers, the machine, and itself as the job grows.

    python -m benchmarks.attribution --quick          # the ratios, in some minutes
    python -m benchmarks.attribution --write docs     # everything, into docs/benchmarks.md and its plot

Random weights of real sizes; real prompts of BMLAMA where `ATLAS_TEST_DATA` (or ../shared/data) has them, else the
bundled ones. All sides of a comparison run in turn in one process. `--only` measures some sections; with `--write`,
the others on the page stay as they are.
"""

import argparse
import os
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import efficiency, growth, peers, trained
from benchmarks.clock import unit
from benchmarks.job import Job
from benchmarks.page import Measured, update_page
from benchmarks.tables import Table

SECTIONS: dict[str, Callable[[Job], list[Table]]] = {
    "peers": peers.masked,
    "causal": peers.causal,
    "efficiency": efficiency.tables,
    "trained": trained.tables,
    "growth": growth.tables,
    "lengths": growth.lengths,
    "memory": growth.memory,
}
QUICK = ("peers", "causal", "efficiency", "trained")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; with `--write`, put them into a page beside their plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="on fewer prompts; the ratios alone without --only")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="folder of benchmarks.md and its plot")
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), help="sections to run")
    options = parser.parse_args(arguments)
    job = Job.of(quick=options.quick)
    for name in options.only or (QUICK if options.quick else SECTIONS):
        tables = SECTIONS[name](job)
        print(*(table.text() for table in tables), sep="\n", flush=True)
        if options.write:
            command = f"python -m benchmarks.attribution{' --quick' * job.quick} --only {name} --write {options.write}"
            update_page(options.write, name, Measured(machine(job.device), command, tables), list(SECTIONS))
    return 0


def machine(device: torch.device) -> str:
    """Describe where the numbers were measured."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    threads = torch.get_num_threads()
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    busy = ", beside other work" if os.getloadavg()[0] > threads + 1 else ""
    return f"{name}, threads: {threads} ({unit()}), {versions}{busy}"


def processor() -> str:
    """Return the processor's name, and whether it multiplies bfloat16 natively."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.processor())
    native = any(flag in line for line in lines for flag in ("avx512_bf16", "amx_bf16"))
    return f"{name}{' with bfloat16 products' if native else ''}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
