"""Says which digit each image shows, with the model that examples/digits publishes.

It is told nothing but its config (`model_version=digits`): the elements are claimed, the results committed, and failures
recorded by the package, in as many processes as `runyard worker run -n` starts.
"""

import joblib
import numpy as np
import runyard  # every job can, without installing it
from PIL import Image


class Digits(runyard.ElementsWorker):
    batch_size = 64  # a network is quicker with many at once

    def configure(self):
        self.network = joblib.load(self.pull_model() / "model.joblib")

    def process_batch(self, elements):
        images = np.stack([read(element) for element in elements])
        all_probabilities = self.network.predict_proba(images)
        return [self.results(probabilities) for probabilities in all_probabilities]

    def process_element(self, element):
        # Only for the elements of a batch that failed: so one that cannot be read fails alone.
        return self.process_batch([element])[0]

    def results(self, probabilities):
        best = probabilities.argmax()
        confidence = min(float(probabilities[best]), 1.0)
        prediction = {
            "class": str(self.network.classes_[best]),
            "confidence": confidence,
            "high_confidence": confidence >= 0.99,
        }
        return {"classifications": [prediction]}


def read(element):
    """The image as the model was trained with it: 64 numbers from 0 to 1."""
    with Image.open(element.image_path()) as image:
        return np.asarray(image.convert("L"), dtype=float).reshape(64) / 240


if __name__ == "__main__":
    Digits().run()
