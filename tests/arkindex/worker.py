"""A training worker as a user of arkindex-base-worker writes one. What it does is said on its command line: a JSON list of
steps, each the name of a method of the package and its arguments. After each it prints the version it then holds."""

import json
import sys
from pathlib import Path

from arkindex_worker.worker import ElementsWorker
from arkindex_worker.worker.base import BaseWorker
from arkindex_worker.worker.training import TrainingMixin

try:
    from arkindex.exceptions import ErrorResponse
except ImportError:
    from apistar.exceptions import ErrorResponse


class Steps(TrainingMixin):
    def add_arguments(self):
        super().add_arguments()
        self.parser.add_argument("--steps", type=json.loads, required=True)

    def take(self):
        print("CONFIGURED", json.dumps({
            "config": self.config,
            "model_configuration": self.model_configuration,
            "user_configuration": self.chosen(),
            "is_finetuning": self.is_finetuning,
            "model_version_id": self.model_version_id,
            "model_details": self.model_details,
            "process": self.process_information,
        }), flush=True)
        for step in self.args.steps:
            method, arguments = step["method"], step.get("arguments", {})
            if "model_path" in arguments:
                arguments["model_path"] = Path(arguments["model_path"])
            if "archive_path" in arguments:
                arguments["archive_path"] = Path(arguments["archive_path"])
            getattr(self, method)(**arguments)
            print("VERSION", json.dumps(self.model_version), flush=True)

    def chosen(self):
        # 0.6.0 has one configuration, and warns of those who ask for another.
        return self.__dict__.get("user_configuration")


class Trainer(Steps, BaseWorker):
    """Older packages leave the command line to whoever derives from this class."""

    def run(self):
        self.args = self.parser.parse_args()
        self.configure()
        self.take()


class ElementsTrainer(Steps, ElementsWorker):
    def run(self):
        self.configure()
        self.take()


if __name__ == "__main__":
    worker = Trainer
    if "--elements" in sys.argv:
        sys.argv.remove("--elements")
        worker = ElementsTrainer
    try:
        worker(description="Trains").run()
    except ErrorResponse as error:
        # Older packages do not say what they were told.
        print("REFUSED", error.title, json.dumps(error.content), file=sys.stderr, flush=True)
        raise
