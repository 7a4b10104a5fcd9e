"""Whether tests notice when the code changes: mutants of four rooms, and how many of them are killed.

mutmut makes the mutants (its settings are in `pyproject.toml`) and runs the tests of each; here a sample is
drawn from every room, and what became of it is counted. Takes about a second a mutant:

    pip install -c constraints.txt -e ".[mutation]" && python benchmarks/mutants.py --sample 200

`mutmut show NAME` prints a mutant that survived. mutmut leaves functions with decorators alone
(`@torch.no_grad()`, properties), and what stands outside of functions.
"""

import argparse
import json
import random
import subprocess
from pathlib import Path

import report

ROOT = Path(__file__).parents[1]
ROOMS = ("networks.bottlenecks", "objectives", "tables", "training")
# Exit codes of mutmut: a test failed, or pytest could not run; and it took too long, as on a busy machine.
KILLED = (1, 3)
TOO_LONG = (24, -24, 36, 152, 255)


def mutants() -> dict[str, int | None]:
    """Return the exit code of each mutant by its name; None for those that were not run."""
    found: dict[str, int | None] = {}
    for path in sorted((ROOT / "mutants" / "skae").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def room(name: str) -> str:
    """Return the room of a mutant."""
    return next(room for room in ROOMS if name.startswith(f"skae.{room}."))


def run(*names: str) -> None:
    """Run mutants by their names; an empty list only makes them."""
    subprocess.run(["mutmut", "run", "--max-children", "1", *names], cwd=ROOT, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=100, help="mutants a room; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="*", default=ROOMS, choices=ROOMS)
    arguments = parser.parse_args()
    run("skae.networks.bottlenecks.binary.*")
    chosen = []
    for name in arguments.rooms:
        known = sorted(mutant for mutant in mutants() if room(mutant) == name)
        size = min(arguments.sample or len(known), len(known))
        chosen += random.Random(arguments.seed).sample(known, size)
    run(*chosen)
    codes = mutants()
    rows = []
    for name in arguments.rooms:
        ours = [mutant for mutant in chosen if room(mutant) == name]
        n_killed = sum(codes[mutant] in KILLED for mutant in ours)
        n_long = sum(codes[mutant] in TOO_LONG for mutant in ours)
        n_all = sum(room(mutant) == name for mutant in codes)
        rows.append({"room": name, "mutants": n_all, "sample": len(ours)})
        rows[-1] |= {"killed": n_killed, "too long": n_long}
        rows[-1]["killed %"] = 100 * n_killed / max(1, len(ours))
    report.print_table(rows, "mutants")
    survivors = sorted(mutant for mutant in chosen if codes[mutant] not in KILLED)
    print("\nsurvivors:", *survivors, sep="\n  ")
    report.save("mutants", rows, seed=arguments.seed, survivors=survivors)


if __name__ == "__main__":
    main()
