"""How much of the project one prompt passes through: the files and functions that run in one `attribute()`.

    python -m benchmarks.calls [--method amig] [--model demo-mbert] [--names]

A model's caches are warm: the prompt is attributed once before the count. Functions of libraries do not count, nor do
comprehensions, which are frames of their own in some versions of Python and not in others.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType

import torch

import atlas
from atlas.attribution import Settings, attribute
from atlas.facts import read
from atlas.models import load_model

PACKAGE = str(Path(atlas.__file__).parent)
COMPREHENSIONS = ("comp>", "<genexpr>")


def main() -> None:
    """Print the number of files and of distinct functions, and with `--names` each of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo-mbert")
    parser.add_argument("--method", default="amig")
    parser.add_argument("--names", action="store_true", help="print the functions of each file")
    options = parser.parse_args()
    found = functions_of_one_prompt(options.model, options.method)
    for file, names in sorted(found.items()) if options.names else ():
        print(f"{file}: {len(names)}: {', '.join(sorted(names))}")
    print(f"{len(found)} files, {sum(map(len, found.values()))} functions")


def functions_of_one_prompt(name: str, method: str) -> dict[str, set[str]]:
    """Return the functions of the project, by file, that attributing one prompt of a one-token answer calls."""
    torch.set_num_threads(1)
    model, settings = load_model(name, device="cpu"), Settings(method=method)
    prompts = [p for p in read("bundled").prompts() if model.kind == "masked" or p.template.ends_in_object]
    prompt = next(prompt for prompt in prompts if len(model.steps(prompt)) == 1)
    attribute(model, [prompt], settings)
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    sys.setprofile(note)
    try:
        attribute(model, [prompt], settings)
    finally:
        sys.setprofile(None)
    return _by_file(seen)


def _by_file(seen: set[CodeType]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for code in seen:
        if code.co_filename.startswith(PACKAGE) and not code.co_name.endswith(COMPREHENSIONS):
            found[str(Path(code.co_filename).relative_to(PACKAGE))].add(f"{code.co_qualname}:{code.co_firstlineno}")
    return dict(found)


if __name__ == "__main__":
    main()
