"""Files that people send by mistake, and files that are sent to break things."""

import io
import random
import warnings
import zipfile

import torch
from PIL import Image
from torch import Tensor, nn

from tests import networks


class Endless(nn.Module):
    def forward(self, x):
        while True:
            pass
        return x


class Stalls(nn.Module):
    """Ends where it is translated, in single precision, and never where it is run."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(3, dtype=torch.float64))

    def forward(self, x):
        while self.weight.dtype == torch.float64:
            pass
        return x.mean([2, 3])


class Prints(nn.Module):
    def forward(self, x):
        print("seen")  # noqa: T201
        return x + 1


class Wakes(nn.Module):
    """Prints while it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        print("awake")  # noqa: T201
        self.training = state[1]

    def forward(self, x):
        return x


class Sound(nn.Module):
    """Nothing is wrong with it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.relu(self.conv(x)).mean((2, 3))


class Reads(nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/hostname", size=1, dtype=torch.uint8)


class Branches(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = -x
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(3, 8, batch_first=True)

    def forward(self, x):
        return self.layer(x.mean(2).transpose(1, 2))[0]


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Embedding(10, 4)

    def forward(self, x):
        return self.layer(x)


class TwoImages(nn.Module):
    def forward(self, x, mask):
        return x * mask


class Enormous(nn.Module):
    def forward(self, x):
        return x + torch.zeros(1000000000000).sum()


def jpeg():
    """A picture where a model belongs."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "jpeg")
    return file.getvalue()


def noise():
    """Bytes without any order."""
    return random.Random(0).randbytes(4096)


def scripted(module):
    """A TorchScript archive."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), file)
    return file.getvalue()


def checkpoint(*, zipped=True):
    """What people save while they train: weights without the model, in torch's new or old way."""
    file = io.BytesIO()
    state = {"state_dict": nn.Linear(2, 2).state_dict()}
    torch.save(state, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def module():
    """A whole module, pickled."""
    file = io.BytesIO()
    torch.save(nn.Linear(2, 2), file)
    return file.getvalue()


def doubled():
    """A TorchScript archive with two files of one name, and a mind of its own."""
    file = io.BytesIO(scripted(nn.ReLU()))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data.pkl", b"\x80\x02}.")
    return file.getvalue()


def lethal():
    """A program of branches within branches, on which torch's compiler overflows its stack."""
    begin, branch = b"-> Tensor:\n", b"if torch.eq(torch.dim(x), 1):\n      x = x\n    "
    branches = begin + b"    " + branch + (b"el" + branch) * 50_000 + b"\n"
    old, new = io.BytesIO(scripted(Sound())), io.BytesIO()
    with zipfile.ZipFile(old) as archive, zipfile.ZipFile(new, "w") as changed:
        for name in archive.namelist():
            code, own = archive.read(name), name.endswith("hostile_files.py")
            changed.writestr(name, code.replace(begin, branches, 1) if own else code)
    return new.getvalue()


def exported_program(**entries):
    """The beginnings of a ``.pt2`` file, with these entries."""
    entries = {f"model/{name}": content for name, content in entries.items()}
    return networks.zipped(**{"model/archive_format": b"pt2"}, **entries)


def mutated(data, seed):
    """``data`` with its end cut off, or a few bits or a stretch of bytes changed."""
    chance, changed = random.Random(seed), bytearray(data)
    place = chance.randrange(len(changed))
    match seed % 4:
        case 0:
            del changed[place:]
        case 1:
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 2:
            end = min(place + 16, len(changed))
            changed[place:end] = chance.randbytes(end - place)
        case 3:
            head = chance.randrange(min(64, len(changed)))
            changed[head] = chance.randrange(256)
    return bytes(changed)


def half_spoiled_pictures():
    """Pictures as ``networks.pictures`` makes them, and two that cannot be decoded."""
    with zipfile.ZipFile(io.BytesIO(networks.pictures())) as folder:
        files = {name: folder.read(name) for name in folder.namelist()}
    return networks.zipped(**files, **{"red/text.png": b"no picture", "red/cut.jpg": jpeg()[:200]})


def copies_of_one_picture():
    """Five files, and one picture."""
    return networks.zipped(**{f"red/{number}.jpg": jpeg() for number in range(5)})
