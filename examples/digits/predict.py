"""Predicts the validation images with a model that train.py made, and says how many it gets right.

    python predict.py FOLDER
"""

import json
import sys
from pathlib import Path

import joblib
from sklearn.metrics import accuracy_score

from train import load_data


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python predict.py FOLDER")
    folder = Path(sys.argv[1])
    network = joblib.load(folder / "model.joblib")
    seed = json.loads((folder / "model.json").read_text(encoding="utf-8"))["config"]["seed"]
    _, images, _, labels = load_data(seed)
    accuracy = accuracy_score(labels, network.predict(images))
    print(f"{len(labels)} images, val accuracy {float(accuracy)}")


if __name__ == "__main__":
    main()
