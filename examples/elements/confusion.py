"""Reads the archive of a dataset and holds what a worker run said against the truth, set by set.

    python confusion.py FOLDER WORKER_RUN

FOLDER is what `runyard dataset pull` has extracted. Needs nothing but Python.
"""

import sqlite3
import sys
import uuid
from pathlib import Path

# Of each element: its set, what it is (no worker run said it), and what the worker run said of it.
ANSWERS = """
SELECT member.set_name, truth.class_name, prediction.class_name
FROM dataset_elements AS member
JOIN classifications AS truth ON truth.element_id = member.element_id AND truth.worker_run_id IS NULL
LEFT JOIN classifications AS prediction
  ON prediction.element_id = member.element_id AND prediction.worker_run_id = ?
ORDER BY member.set_name
"""


def show(title, pairs):
    """A row for each digit, a column for each answer."""
    digits = [str(digit) for digit in range(10)]
    counts = {pair: 0 for pair in ((truth, said) for truth in digits for said in digits)}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    right = sum(truth == said for truth, said in pairs)
    print(f"{title}: {right} of {len(pairs)} are right, {right / max(len(pairs), 1):.2%}")
    print("      " + "".join(f"{digit:>5}" for digit in digits))
    for truth in digits:
        print(f"{truth:>6}" + "".join(f"{counts[(truth, said)] or '.':>5}" for said in digits))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: python confusion.py FOLDER WORKER_RUN")
    folder, run = Path(sys.argv[1]), uuid.UUID(sys.argv[2]).hex
    database = sqlite3.connect(f"{(folder / 'db.sqlite').resolve().as_uri()}?mode=ro", uri=True)
    answers = database.execute(ANSWERS, (run,)).fetchall()
    images = sum(1 for _ in (folder / "files").iterdir())
    silent = sum(said is None for _, _, said in answers)
    print(f"{len(answers)} elements and {images} images; of {silent} the worker run said nothing")
    for name in sorted({name for name, _, _ in answers}):
        show(name, [(truth, said) for set, truth, said in answers if set == name and said is not None])
        print()
    show("all", [(truth, said) for _, truth, said in answers if said is not None])


if __name__ == "__main__":
    main()
