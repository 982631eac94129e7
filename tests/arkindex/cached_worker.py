"""A worker of arkindex-base-worker 0.4.0 that keeps a cache: it reads elements from the files of its parent tasks, and writes what
it makes to the server and into a file of its own."""

import json

from arkindex_worker.worker import ElementsWorker


class Cached(ElementsWorker):
    def __init__(self):
        super().__init__("Cached", support_cache=True)

    def process_element(self, element):
        made = self.create_elements(element, [{"name": "l", "type": "line", "polygon": [[0, 0], [9, 0], [9, 9]]}])
        text = self.create_transcription(element, "hello", confidence=0.5)
        self.create_classification(element, "read", 0.75)
        said = {"id": str(element.id), "image": element.image.url, "made": made[0]["id"], "text": text["id"],
                "texts": [one.text for one in self.list_transcriptions(element)]}
        print("ELEMENT", json.dumps(said), flush=True)


if __name__ == "__main__":
    Cached().run()
