"""Train small networks on scikit-learn's handwritten digits, and log every run to ExpTrack.

    pip install ./client scikit-learn
    export EXPTRACK_URL=http://127.0.0.1:8000 EXPTRACK_TOKEN=…
    python client/examples/digits.py

A grid of learning rate, width and optimizer: 24 runs, and two that go wrong as real ones do, in
about a minute. `--quick` trains three.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time

# Networks this small are slower on many threads, and far slower where others compute too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

try:
    import numpy as np
    from sklearn.datasets import load_digits
except ImportError:
    sys.exit("This example trains on scikit-learn's digits: pip install scikit-learn")
try:
    import exptrack_client as exptrack
except ImportError:
    sys.exit("The SDK is not installed: pip install ./client")

LEARNING_RATES = (0.001, 0.01, 0.1, 0.5)
WIDTHS = (64, 256)
OPTIMIZERS = ("sgd", "momentum", "adam")
SEED = 7
# A learning rate range test: the rate grows with every batch until half precision overflows.
# From then on the loss is NaN, and is logged as such.
DIVERGING = {
    "lr": 1e-3,
    "lr_growth": 1.015,
    "width": 64,
    "optimizer": "momentum",
    "dtype": "float16",
}
RANGE_TEST_NOTES = """A **learning rate range test** in half precision: the rate grows by 1.5% with
every batch. The loss is best a little below the rate at which it leaps; after that the weights
overflow and it is NaN."""
# A setting that cannot work: found out only once the run has begun.
FAILING = {"lr": 0.01, "width": 64, "optimizer": "adam", "batch_size": 2048}


class Network:
    """64 inputs, two hidden layers of ReLU, 10 classes; trained by backpropagation."""

    def __init__(self, width: int, dtype: str, random: np.random.Generator) -> None:
        self.weights = []  # a matrix and a bias for each layer, in turn
        for size, wide in ((64, width), (width, width), (width, 10)):
            matrix = random.normal(0, (2 / size) ** 0.5, (size, wide))
            self.weights += [matrix.astype(dtype), np.zeros(wide, dtype)]

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """What goes into each layer before its ReLU (pixels are never negative, so theirs
        changes nothing), each float[n, size], and last the class scores, float[n, 10]."""
        flow = [images]
        for matrix, bias in zip(self.weights[::2], self.weights[1::2]):
            flow.append(np.maximum(flow[-1], 0) @ matrix + bias)
        return flow

    def gradients(self, images: np.ndarray, labels: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """The mean cross-entropy of a batch and its gradient for each weight."""
        *flow, scores = self.forward(images)
        scores = scores - scores.max(axis=1, keepdims=True)
        log_chances = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        loss = -log_chances[rows, labels].mean()
        error = np.exp(log_chances)
        error[rows, labels] -= 1
        error /= len(labels)
        found = []
        for matrix, into in zip(self.weights[-2::-2], flow[::-1]):
            found = [np.maximum(into, 0).T @ error, error.sum(0), *found]
            error = error @ matrix.T * (into > 0)
        return loss, found

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose class has the highest score."""
        return float((self.forward(images)[-1].argmax(axis=1) == labels).mean())


class Optimizer:
    """Plain gradient descent, with momentum, or Adam."""

    def __init__(self, kind: str, rate: float, weights: list[np.ndarray]) -> None:
        self.kind, self.rate, self.weights, self.steps = kind, rate, weights, 0
        self.first = [np.zeros_like(weight) for weight in weights]
        self.second = [np.zeros_like(weight) for weight in weights]

    def step(self, gradients: list[np.ndarray]) -> None:
        """Move every weight against its gradient."""
        self.steps += 1
        for place, gradient in enumerate(gradients):
            self.weights[place] -= self.rate * self.direction(place, gradient)

    def direction(self, place: int, gradient: np.ndarray) -> np.ndarray:
        if self.kind == "sgd":
            return gradient
        if self.kind == "momentum":
            self.first[place] = 0.9 * self.first[place] + gradient
            return self.first[place]
        self.first[place] = 0.9 * self.first[place] + 0.1 * gradient
        self.second[place] = 0.999 * self.second[place] + 0.001 * gradient**2
        mean = self.first[place] / (1 - 0.9**self.steps)
        spread = self.second[place] / (1 - 0.999**self.steps)
        return mean / (np.sqrt(spread) + 1e-8)


def train(run: exptrack.Run, data: dict[str, np.ndarray], setting: dict) -> float:
    """Train one network, logging the loss of each batch and the accuracies of each epoch;
    returns the last validation accuracy."""
    random = np.random.default_rng(setting["seed"])
    network = Network(setting["width"], setting["dtype"], random)
    images, val_images = (data[part].astype(setting["dtype"]) for part in ("images", "val_images"))
    optimizer = Optimizer(setting["optimizer"], setting["lr"], network.weights)
    count, size = len(data["labels"]), setting["batch_size"]
    if size > count:
        raise ValueError(f"a batch of {size} is larger than the {count} training images")
    step = 0
    for epoch in range(setting["epochs"]):
        order = random.permutation(count)
        for start in range(0, count - size + 1, size):
            batch = order[start : start + size]
            loss, gradients = network.gradients(images[batch], data["labels"][batch])
            optimizer.step(gradients)
            optimizer.rate *= setting.get("lr_growth", 1)
            run.log({"train/loss": loss}, step=step)
            step += 1
        accuracy = network.accuracy(val_images, data["val_labels"])
        run.log(
            {
                "train/accuracy": network.accuracy(images, data["labels"]),
                "val/accuracy": accuracy,
                "val/loss": network.gradients(val_images, data["val_labels"])[0],
                "lr": optimizer.rate,
                "epoch": epoch,
            },
            step=step - 1,
        )
    return accuracy


def digits() -> dict[str, np.ndarray]:
    """1,797 images of 8 × 8 pixels from 0 to 1, three quarters of them for training."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    images, labels = images[order] / 16, labels[order]
    cut = len(labels) * 3 // 4
    return {
        "images": images[:cut],
        "labels": labels[:cut],
        "val_images": images[cut:],
        "val_labels": labels[cut:],
    }


def settings(quick: bool, epochs: int) -> list[dict]:
    """The params of every run, in the order they are trained."""
    common = {"epochs": epochs, "batch_size": 32, "dtype": "float32", "seed": SEED}
    grid = [
        {**common, "lr": rate, "width": width, "optimizer": optimizer}
        for width, rate, optimizer in itertools.product(WIDTHS, LEARNING_RATES, OPTIMIZERS)
    ]
    if quick:
        return [setting for setting in grid if setting["lr"] == 0.01 and setting["width"] == 64]
    return [*grid, {**common, **DIVERGING}, {**common, **FAILING}]


def run_name(setting: dict) -> str:
    """The setting in short, with what is unusual about it."""
    name = f"{setting['optimizer']}-{setting['width']}-lr{setting['lr']:g}"
    if "lr_growth" in setting:
        name += "-range-test"
    return name if setting["batch_size"] == 32 else f"{name}-batch{setting['batch_size']}"


def train_all(experiment: str, quick: bool, epochs: int) -> None:
    """One run after the other; one that fails is marked failed, and the next begins."""
    data = digits()
    chosen = settings(quick, epochs)
    for number, setting in enumerate(chosen, 1):
        name = run_name(setting)
        began = time.perf_counter()
        try:
            with exptrack.init(
                experiment,
                name=name,
                params=setting,
                tags={"dataset": "digits", "model": "mlp"},
                notes=RANGE_TEST_NOTES if "lr_growth" in setting else None,
            ) as run:
                result = f"validation accuracy {train(run, data, setting):.3f}"
        except ValueError as error:
            result = f"failed: {error}"
        took = time.perf_counter() - began
        print(f"{number:2}/{len(chosen)}  {name:22} {took:5.1f} s  {result}")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="train three networks only")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the images a run")
    parser.add_argument("--experiment", default="digits", help="the experiment's name")
    options = parser.parse_args()
    if not os.environ.get("EXPTRACK_TOKEN"):
        sys.exit(
            "Set EXPTRACK_TOKEN first (`make run` prints how to make one),\n"
            "and EXPTRACK_URL if the server is not at http://127.0.0.1:8000."
        )
    np.seterr(all="ignore")  # a run that diverges is to be seen in its curves
    train_all(options.experiment, options.quick, options.epochs)


if __name__ == "__main__":
    main()
