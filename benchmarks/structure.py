"""The structure of the package in numbers: files, the way of a fit, probes of parts, types and texts.

`tests/floors/counting.py` says what each of them is, and `tests/floors/test_structure.py` what it may be.
`--probes` lists each question that is asked of a part.
"""

import argparse
import sys
from pathlib import Path

import report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "floors"))
import counting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", action="store_true", help="list each question that is asked of a part")
    arguments = parser.parse_args()
    rows = [{"count": name, "value": value} for name, value in counting.counts().items()]
    report.print_table(rows, "structure")
    if arguments.probes:
        report.print_table([probe._asdict() for probe in counting.probes()], "probes of parts")
    report.save("structure", rows)


if __name__ == "__main__":
    main()
