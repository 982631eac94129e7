"""A worker over elements as a user of arkindex-base-worker writes one. What it does with an element is said on its command line:
`{"fail": [names], "hang": [names], "hang_once": file, "write": bool}`. It prints each element that it is given, and what it then reads."""

import json
import os
import time

from arkindex_worker.models import Transcription
from arkindex_worker.worker import ElementsWorker
from arkindex_worker.worker.metadata import MetaType

TOP, LEFT = [[0, 0], [9, 0], [9, 9]], [[0, 0], [5, 0], [5, 50]]


class Reader(ElementsWorker):
    def add_arguments(self):
        super().add_arguments()
        self.parser.add_argument("--plan", type=json.loads, default={})

    def process_element(self, element):
        plan = self.args.plan
        said = {"id": element.id, "type": element.type, "name": element.name, "polygon": element.polygon,
                "zone_url": element.zone.url, "corpus": element.corpus.id, "image": element.image_url()}
        print("ELEMENT", json.dumps(said), flush=True)
        if element.name in plan.get("fail", []):
            raise ValueError(f"cannot read {element.name}")
        if element.name in plan.get("hang", []) or self.is_first(plan.get("hang_once")):
            print("HANGING", os.getpid(), flush=True)
            time.sleep(600)
        if plan.get("write"):
            print("READ", json.dumps(self.write(element)), flush=True)

    def is_first(self, file):
        try:
            return file is not None and open(file, "x").close() is None
        except FileExistsError:
            return False

    def write(self, page):
        if self.modern():
            self.check_required_types(["line", "word"], create_missing=True)
        else:
            self.check_required_types("line", "word", create_missing=True)
        made = self.create_elements(page, [
            {"name": "z", "type": "line", "polygon": TOP},
            {"name": "a", "type": "line", "polygon": LEFT, "confidence": 0.5},
        ])
        lone = self.create_sub_element(page, "line", "lone", [[1, 1], [2, 1], [2, 2]])
        text = Transcription(self.create_transcription(page, "Ada met Charles.", confidence=0.9))
        self.create_transcriptions([{"element_id": made[0]["id"], "text": "z", "confidence": 0.5}])
        annotations = self.create_element_transcriptions(page, "line", [
            {"polygon": TOP, "text": "again", "confidence": 0.5},
            {"polygon": [[3, 3], [4, 3], [4, 4]], "text": "new", "confidence": 0.5},
        ])
        self.create_classification(page, "read", 0.75, high_confidence=True)
        again = self.create_classification(page, "read", 0.75)
        self.create_classifications(page, [{"ml_class": "old", "confidence": 0.25}])
        self.entities(text)
        self.create_metadata(page, MetaType.Text, "title", "A page")
        self.create_metadata_bulk(page, [
            {"type": MetaType.Numeric, "name": "year", "value": 1815},
            {"type": MetaType.Date, "name": "day", "value": "in winter"},
        ])
        self.partial_update_element(page, name=f"{page.name}, read")
        return self.look(page, text, made, lone, annotations, again)

    def modern(self):
        return not hasattr(self, "create_entity")

    def entities(self, text):
        """0.6.0 names a type and a place; before that an entity is made and put there."""
        self.check_required_entity_types(["person"], create_missing=True)
        person = self.entity_types["person"]
        place = {"type_id": person, "offset": 8, "length": 7, "confidence": 0.5}
        if self.modern():
            self.create_transcription_entity(text, person, 0, 3, 0.5)
        else:
            ada = self.create_entity("Ada", "person", metas={"born": 1815})
            self.create_transcription_entity(text, ada, 0, 3, 0.5)
            place["name"] = "Charles"
        self.create_transcription_entities(text, [place])

    def look(self, page, text, made, lone, annotations, again):
        def names(found):
            return sorted(one["name"] for one in found)

        look = {
            "made": [one["id"] if isinstance(one, dict) else one for one in made],
            "lone": lone,
            "created": [one["created"] for one in annotations],
            "classified_again": again,
            "children": names(self.list_element_children(page, type="line", with_has_children=True)),
            "parents": names(self.list_element_parents(page, recursive=True)),
            "texts": sorted(one["text"] for one in self.list_transcriptions(page, recursive=True)),
            "of_people": len(list(self.list_transcriptions(page, recursive=True, worker_run=False))),
            "entities": sorted(one["entity"]["name"] for one in self.list_transcription_entities(text)),
            "metadata": names(self.list_element_metadata(page, load_parents=True)),
        }
        if hasattr(self, "get_elements"):
            # Before 0.4.0 this is what lists the elements to work on.
            look["pages"] = names(self.list_elements(type="page"))
        return look


if __name__ == "__main__":
    Reader("Reads").run()
