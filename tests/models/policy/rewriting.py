"""Archives with other contents than torch wrote."""

import warnings
import zipfile


def rewritten(path, change):
    """The archive at ``path`` with its entries written as ``change(name, data)`` lists them."""
    with zipfile.ZipFile(path) as old:
        entries = [(info.filename, old.read(info)) for info in old.infolist()]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as new:
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        for name, data in entries:
            for written, content, *compression in change(name, data):
                new.writestr(written, content, *compression)
    return path


def with_code(path, old, new):
    """The archive at ``path`` with other code in it."""

    def change(name, data):
        changed = data.replace(old, new) if name.endswith(".py") else data
        return [(name, changed)]

    return rewritten(path, change)
