"""Archives that would do more than be read, and archives that are not whole."""

import io
import pickle
import random
import zipfile

import pytest
import torch
from tests.models.exported_program.samples import edited, exported, rewritten
from torch import nn

from facetscope.domain.errors import (
    InspectionError,
    ModelForbiddenError,
    ModelUnreadableError,
    OperatorUnsupportedError,
)
from facetscope.models.exported_program import load, translate

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))

WEIGHTS = "data/weights/model_weights_config.json"
SAMPLES = "data/sample_inputs/model.pt"


@pytest.fixture(scope="module")
def clean():
    """What torch writes for an ordinary model."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return exported(model, IMAGES)


@pytest.fixture
def translated(tmp_path):
    """Reads and translates an archive, all the way."""

    def translation(data):
        path = tmp_path / "model.pt2"
        path.write_bytes(data)
        return translate(path, load(path), IMAGES)

    return translation


@pytest.fixture
def marker(tmp_path):
    """A file that payloads make when they run."""
    return tmp_path / "ran"


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def pickled(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def replaced(data, entry, content):
    """The archive with another content of one entry, which may be new."""
    found = rewritten(data, lambda name, old: content if name == entry else old)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = archive.namelist()[0].partition("/")[0]
        if f"{root}/{entry}" in archive.namelist():
            return found
    file = io.BytesIO(found)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{root}/{entry}", content)
    return file.getvalue()


def test_a_payload_in_the_sample_inputs_does_not_run(clean, translated, marker):
    """torch.export.load unpickles them, and what they call is called."""
    data = replaced(clean, SAMPLES, pickled(Payload(marker)))
    with pytest.raises(ModelForbiddenError, match="calls io open") as caught:
        translated(data)
    assert caught.value.where.endswith(SAMPLES)
    assert not marker.exists()


def test_a_payload_in_an_expression_does_not_run(clean, translated, marker):
    """torch.export.load gives them to sympy, which evaluates them as Python."""
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"

    def poison(program):
        sizes = program["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": code, "hint": {"as_int": 2}}}

    with pytest.raises(ModelForbiddenError, match="not arithmetic") as caught:
        translated(edited(clean, poison))
    assert caught.value.where == "models/model.json"
    assert not marker.exists()


@pytest.mark.parametrize(
    "expression",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Add(Mul(Integer(2), Symbol('u0', integer=True)), Integer(-1))",
        "Max(Integer(1), FloorDiv(Symbol('s1'), Rational(1, 2)))",
    ],
)
def test_arithmetic_with_sizes_passes(clean, translated, expression):
    """It is in every program of a dynamic size."""

    def edit(program):
        program["graph_module"]["graph"]["sym_int_values"]["n"] = {
            "as_expr": {"expr_str": expression, "hint": None}
        }

    assert translated(edited(clean, edit)).outputs == ("3",)


@pytest.mark.parametrize(
    "expression",
    ["Symbol('s').func", "eval('1')", "[1]", "lambda: 1", "s77", "().__class__", 'Symbol("s")'],
)
def test_anything_but_arithmetic_is_refused(clean, translated, expression):
    """Whoever writes more into an expression wants it evaluated."""

    def edit(program):
        program["range_constraints"]["expr_str"] = expression

    with pytest.raises(ModelForbiddenError, match="not arithmetic"):
        translated(edited(clean, edit))


def test_pickled_weights_are_refused(clean, translated, marker):
    """torch unpickles weights of its own classes, and of anybody's."""

    def edit(config):
        config["config"]["0.weight"]["use_pickle"] = True

    data = replaced(clean, "data/weights/weight_0", pickle.dumps(Payload(marker)))
    with pytest.raises(ModelForbiddenError, match=r"pickle, as '0\.weight'"):
        translated(edited(data, edit, entry=WEIGHTS))
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["custom_obj_0", "opaque_obj_0"])
def test_objects_among_the_constants_are_refused(clean, translated, kind):
    """Objects of C++ and Python classes run code while they are read."""

    def edit(config):
        config["config"]["thing"] = {
            "path_name": kind,
            "is_param": False,
            "use_pickle": False,
            "tensor_meta": None,
        }

    with pytest.raises(ModelForbiddenError, match="pickle, as 'thing'"):
        translated(edited(clean, edit, entry="data/constants/model_constants_config.json"))


@pytest.mark.parametrize(
    ("target", "error", "problem"),
    [
        ("torch.os.system", ModelForbiddenError, "a call of 'torch.os.system'"),
        ("builtins.eval", ModelForbiddenError, "a call of 'builtins.eval'"),
        ("_operator.attrgetter", ModelForbiddenError, "no operator"),
        ("torch.ops.aten.relu", OperatorUnsupportedError, "names no overload"),
        ("torch.ops.mine.levitate.default", OperatorUnsupportedError, "library 'mine'"),
        ("torch.ops.aten.from_file.default", OperatorUnsupportedError, "no translation"),
        ("torch.ops.aten.relu.__class__", OperatorUnsupportedError, "no overload '__class__'"),
        ("torch.ops.aten.relu.fancy", OperatorUnsupportedError, "no overload 'fancy'"),
        ("torch.ops.aten.__init__.default", OperatorUnsupportedError, "no translation"),
    ],
)
def test_targets_that_are_no_listed_operator_are_refused(clean, translated, target, error, problem):
    """torch looks a target up by its name in any module that it can reach."""

    def edit(program):
        program["graph_module"]["graph"]["nodes"][1]["target"] = target

    with pytest.raises(error, match=problem):
        translated(edited(clean, edit))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("data/aotinductor/model/model.so", "compiled library.*torch.export.save"),
        ("data/executorch/model.pte", "ExecuTorch"),
        ("data/weights/model.pt", "weights as a pickle"),
    ],
)
def test_other_contents_of_archives_are_refused_with_a_hint(clean, translated, entry, problem):
    """The same kind of file also carries machine code, and once carried pickles."""
    with pytest.raises(ModelForbiddenError, match=problem) as caught:
        translated(replaced(clean, entry, b"\x7fELF"))
    assert caught.value.where.endswith(entry)


def test_compressed_entries_are_refused(clean, translated):
    """torch stores everything as it is; a compressed entry may be a bomb."""
    with pytest.raises(ModelForbiddenError, match="compressed"):
        translated(rewritten(clean, lambda _, old: old, compression=zipfile.ZIP_DEFLATED))


def test_a_second_folder_is_refused(clean, translated):
    """Two readers of one zip file must not find two programs in it."""
    file = io.BytesIO(clean)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("other/models/model.json", b"{}")
    with pytest.raises(ModelForbiddenError, match="two root folders"):
        translated(file.getvalue())


def test_several_programs_are_refused(clean, translated):
    """An explanation is of one model."""
    with pytest.raises(ModelUnreadableError, match="2 programs"):
        translated(replaced(clean, "models/other.json", b"{}"))


def _wide(meta):
    meta["sizes"] = [{"as_int": 2**20}, {"as_int": 2**20}]
    meta["strides"] = [{"as_int": 0}, {"as_int": 0}]


def _beyond(meta):
    meta["storage_offset"] = {"as_int": 1}


def _negative(meta):
    meta["storage_offset"] = {"as_int": -1}


def _backwards(meta):
    meta["strides"][0] = {"as_int": -27}


def _endless(meta):
    meta["sizes"][0] = {"as_int": 10**30}


@pytest.mark.parametrize("edit", [_wide, _beyond, _negative, _backwards, _endless])
def test_weights_lie_within_their_bytes(clean, translated, edit):
    """Sizes and strides of a file must not reach other memory, nor fill it."""
    data = edited(clean, lambda c: edit(c["config"]["0.weight"]["tensor_meta"]), entry=WEIGHTS)
    with pytest.raises(ModelUnreadableError, match="does not hold"):
        translated(data)


def test_an_unknown_element_type_is_refused(clean, translated):
    """Its bytes have no meaning here."""

    def edit(config):
        config["config"]["0.weight"]["tensor_meta"]["dtype"] = 99

    with pytest.raises(OperatorUnsupportedError, match="element type, number 99"):
        translated(edited(clean, edit, entry=WEIGHTS))


@pytest.mark.parametrize(
    "description",
    [b"", b"{", b"[]", b"{}", b"null", b'{"graph_module": {}}', b"[" * 10**5, b"1" * 10**5],
)
def test_a_malformed_description_is_unreadable(clean, translated, description):
    """It is read, never trusted."""
    with pytest.raises(ModelUnreadableError):
        translated(replaced(clean, "models/model.json", description))


def test_damaged_weights_are_noticed(clean, translated):
    """A wrong weight looks like a right one."""
    data = bytearray(clean)
    with zipfile.ZipFile(io.BytesIO(clean)) as whole:
        weights = next(name for name in whole.namelist() if name.endswith("weight_0"))
        data[data.index(whole.read(weights))] ^= 1
    with pytest.raises(ModelUnreadableError, match="checksum"):
        translated(bytes(data))


def test_a_cut_or_flipped_archive_is_refused_or_right(clean, translated):
    """Nothing but the listed errors comes of a broken file, and never a wrong number."""
    wanted = translated(clean).module(IMAGES)[0]
    chance = random.Random(0)
    refused = 0
    for round_ in range(60):
        data = bytearray(clean)
        if round_ % 3 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(1 + round_ % 4):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            found = translated(bytes(data)).module(IMAGES)[0]
        except InspectionError:
            refused += 1
        else:
            torch.testing.assert_close(found, wanted)
    assert refused > 20


@pytest.mark.parametrize("seed", range(4))
def test_a_shuffled_description_is_refused_or_computes(clean, translated, seed):
    """Values of other types in any place are what a hostile file is made of."""
    chance = random.Random(seed)
    for _ in range(12):

        def spoil(program):
            places = list(_places(program["graph_module"]))
            container, key = chance.choice(places)
            container[key] = chance.choice([None, -1, 2**40, "x", [], {}, True, 0.5, [[]]])

        try:
            translated(edited(clean, spoil)).module(IMAGES)
        except InspectionError:
            continue


def _places(value):
    """Where a value could be replaced: each container and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)
