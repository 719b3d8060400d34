"""Exported programs, and archives that were tampered with."""

import io
import json
import zipfile

import torch
from torch.export import Dim

BATCH = ({0: Dim("batch")},)
"""Dynamic shapes of a program for any number of images."""


def exported(model, images, *, dynamic_shapes=BATCH):
    """The archive of a model in inference mode, exported with these ``images``."""
    return saved(torch.export.export(model.eval(), (images,), dynamic_shapes=dynamic_shapes))


def saved(program):
    """The archive of a program."""
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def rewritten(data, change, *, compression=zipfile.ZIP_STORED):
    """An archive with its entries replaced by ``change(name below the root, content)``."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for info in old.infolist():
            name = info.filename.partition("/")[2]
            new.writestr(info.filename, change(name, old.read(info)), compress_type=compression)
    return file.getvalue()


def edited(data, edit, *, entry="models/model.json"):
    """An archive with the description in ``entry`` changed in place by ``edit``."""

    def change(name, content):
        if name != entry:
            return content
        description = json.loads(content)
        edit(description)
        return json.dumps(description)

    return rewritten(data, change)
