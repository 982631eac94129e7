"""The same as a worker of Arkindex: written against arkindex-base-worker 0.4.0, and not changed for Runyard in anything.

Its config names the folder of the model (`model=/path/to/model`).
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import joblib
import numpy as np
from arkindex_worker.worker import ElementsWorker
from PIL import Image


class Digits(ElementsWorker):
    def configure(self):
        super().configure()
        self.network = joblib.load(Path(self.config["model"]) / "model.joblib")

    def process_element(self, element):
        path = unquote(urlsplit(element.zone.image.url).path)
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"), dtype=float).reshape(1, 64) / 240
        probabilities = self.network.predict_proba(pixels)[0]
        best = probabilities.argmax()
        confidence = min(float(probabilities[best]), 1.0)
        self.create_classification(
            element,
            ml_class=str(self.network.classes_[best]),
            confidence=confidence,
            high_confidence=confidence >= 0.99,
        )


if __name__ == "__main__":
    Digits(description="Says which digit an image shows").run()
