"""Trains a small neural network on the digits that scikit-learn ships, and reports to Runyard while it does.

Runs anywhere: under Runyard it finds its config, its folders and the records file in the environment, saves a
checkpoint every few epochs, goes on from the newest one when the run is restarted, however it ended, and publishes the
trained network as a version of the model `digits`. Without Runyard it uses the config beside it, writes the model to
./output/model and reports nowhere.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

try:
    import runyard  # every job can, without installing it
except ImportError:
    runyard = None

HERE = Path(__file__).resolve().parent
LOSS_EVERY_STEPS = 10


def report(**record):
    """Appends one record to $RUNYARD_RECORDS: a JSON object on a line. Without the variable it does nothing."""
    path = os.environ.get("RUNYARD_RECORDS")
    if path:
        with open(path, "a", encoding="utf-8") as records:
            records.write(json.dumps(record) + "\n")


def report_metrics(step, **values):
    """Reports `val_accuracy=0.9` as the metric `val/accuracy` at this step."""
    metrics = [
        {"tag": tag.replace("_", "/", 1), "global_step": step, "value": float(value)} for tag, value in values.items()
    ]
    report(metrics=metrics)


def read_config():
    """The run's config; every field may be left out."""
    path = os.environ.get("RUNYARD_CONFIG", HERE / "config.json")
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    defaults = {
        "epochs": 60,
        "batch_size": 32,
        "lr": 0.0005,
        "hidden": [256, 128],
        "seed": 7,
        "checkpoint_epochs": 10,
    }
    unknown = sorted(set(config) - set(defaults))
    if unknown:
        sys.exit(f"unknown config fields: {', '.join(unknown)}; known are {', '.join(defaults)}")
    return {**defaults, **config}


def load_data(seed):
    """Images as rows of 64 numbers from 0 to 1, split once into training and validation."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images / 16.0, labels, test_size=0.2, stratify=labels, random_state=seed)


def save_checkpoint(step, state):
    """Keeps all that is needed to go on from here. The upload happens while the training goes on."""
    if runyard:
        with runyard.save_checkpoint(step) as checkpoint:
            joblib.dump(state, checkpoint.dir / "state.joblib")


def load_checkpoint():
    """What the newest complete checkpoint of this run kept, from whichever job; None when there is none."""
    if runyard:
        try:
            with runyard.load_checkpoint() as checkpoint:
                print(f"resuming from the checkpoint at step {checkpoint.global_step}")
                return joblib.load(checkpoint.dir / "state.joblib")
        except runyard.CheckpointNotFoundError:
            pass
    return None


def begin(config):
    """The state before the first epoch: what a checkpoint keeps."""
    network = MLPClassifier(
        hidden_layer_sizes=tuple(config["hidden"]),
        learning_rate_init=config["lr"],
        batch_size=config["batch_size"],
        random_state=config["seed"],
    )
    shuffler = np.random.default_rng(config["seed"])
    return {"network": network, "shuffler": shuffler, "epoch": 0, "step": 0, "accuracy": 0.0}


def train(config, stop):
    """Returns the network and how good it is on the validation images."""
    train_x, val_x, train_y, val_y = load_data(config["seed"])
    classes = np.unique(train_y)
    # The same network comes out whether the training was interrupted or not: the state has every random number.
    state = load_checkpoint() or begin(config)
    network, step, epochs = state["network"], state["step"], config["epochs"]
    for epoch in range(state["epoch"] + 1, epochs + 1):
        order = state["shuffler"].permutation(len(train_x))
        for start in range(0, len(order) - config["batch_size"] + 1, config["batch_size"]):
            if stop.is_set():
                print(f"SIGTERM: stopping in epoch {epoch}, at step {step}")
                return network, state["accuracy"]
            batch = order[start : start + config["batch_size"]]
            network.partial_fit(train_x[batch], train_y[batch], classes=classes)
            step += 1
            if step % LOSS_EVERY_STEPS == 0:
                report_metrics(step, train_loss=network.loss_)
        probabilities = network.predict_proba(val_x)
        loss = log_loss(val_y, probabilities, labels=classes)
        state["accuracy"] = accuracy_score(val_y, classes[probabilities.argmax(axis=1)])
        report_metrics(step, val_loss=loss, val_accuracy=state["accuracy"])
        report(progress=[{"operation": "train", "value": epoch, "final_value": epochs, "units": "epochs"}])
        print(f"epoch {epoch:>3}/{epochs}  step {step:>5}  val loss {loss:.4f}  val accuracy {state['accuracy']:.4f}")
        if epoch % config["checkpoint_epochs"] == 0:
            save_checkpoint(step, {**state, "epoch": epoch, "step": step})
    return network, state["accuracy"]


def save(network, config, accuracy):
    """Writes the model below the run's output folder, and returns where."""
    folder = Path(os.environ.get("RUNYARD_ML", ".")) / "output" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(network, folder / "model.joblib")
    description = {"config": config, "val_accuracy": accuracy}
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder


def publish(folder, config, accuracy):
    """Makes a version of the model `digits` of the folder. The upload goes on while the program ends; the run waits."""
    if runyard:
        about = {"classes": 10, "val_accuracy": accuracy, "hidden": config["hidden"]}
        runyard.publish_model(folder, "digits", description=f"val accuracy {accuracy:.4f}", config=about)


def main():
    sys.stdout.reconfigure(line_buffering=True)  # so that the log is live
    stop = threading.Event()  # on SIGTERM the loop ends between two batches, and what was learned is still saved
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    config = read_config()
    print(f"config: {json.dumps(config)}")
    began = time.monotonic()
    network, accuracy = train(config, stop)
    folder = save(network, config, accuracy)
    print(f"val accuracy {accuracy:.4f} after {time.monotonic() - began:.1f} s; model in {folder}")
    if not stop.is_set():
        publish(folder, config, accuracy)  # of one that was stopped, the run keeps the files


if __name__ == "__main__":
    main()
