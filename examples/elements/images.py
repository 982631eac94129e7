"""Writes the 1,797 images of digits that come with scikit-learn as PNG, and beside them elements.jsonl to import.

    python images.py FOLDER [COUNT]

What each image shows is a classification that nobody's worker made: the truth, against which predictions are held.
"""

import json
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python images.py FOLDER [COUNT]")
    folder = Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) == 3 else None
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    lines = []
    for number, (pixels, label) in enumerate(zip(images[:count], labels)):
        path = folder / f"digit-{number:04}.png"
        # Sixteen shades, spread over what eight bits have room for.
        Image.fromarray((pixels.reshape(8, 8) * 15).astype("uint8")).save(path)
        truth = {"class": str(label), "confidence": 1.0, "high_confidence": True, "state": "validated"}
        line = {
            "name": path.stem,
            "image": {"url": path.as_uri(), "width": 8, "height": 8},
            "results": {"classifications": [truth]},
        }
        lines.append(json.dumps(line) + "\n")
    (folder / "elements.jsonl").write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} images in {folder}")


if __name__ == "__main__":
    main()
