"""Programs that would do more than be read, and programs that would not."""

import pytest
import torch
from tests.assets import models
from tests.models.policy.rewriting import rewritten, with_code
from torch import Tensor, nn

from facetscope.domain.errors import ModelForbiddenError
from facetscope.models.policy import check_torchscript
from facetscope.models.policy.operators import pure
from facetscope.models.torchscript import language, operators


class Wakes(nn.Module):
    """Runs code of its own while it is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]):
        self.training = state[1]

    def forward(self, x):
        return x


@pytest.mark.parametrize("program", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(2))])
def test_clean_archives_pass(tmp_path, program):
    """What torch writes for an ordinary model is what people send."""
    program(nn.ReLU()).save(str(tmp_path / "model.pt"))
    check_torchscript(tmp_path / "model.pt")


@pytest.mark.parametrize("path", models("*.ts.pt"))
def test_a_real_archive_passes(path):
    """Files of other versions of torch have their own layout."""
    check_torchscript(path)


@pytest.mark.parametrize("architecture", ["swin_v2_t", "vit_b_32"])
def test_programs_of_real_architectures_pass(tmp_path, architecture):
    """They name operators that inference never comes to: random ones, checks and warnings."""
    from torchvision.models import get_model

    with torch.device("meta"):
        model = get_model(architecture, weights=None).eval()
    torch.jit.script(model.to_empty(device="cpu")).save(str(tmp_path / "model.pt"))
    check_torchscript(tmp_path / "model.pt")


def test_code_that_runs_at_loading_is_refused(tmp_path):
    """Loading happens before anybody can look at what a program does."""
    torch.jit.script(Wakes()).save(str(tmp_path / "model.pt"))
    with pytest.raises(ModelForbiddenError, match="__setstate__") as caught:
        check_torchscript(tmp_path / "model.pt")
    assert caught.value.where.endswith(".py")


def test_code_is_found_whatever_the_case_of_its_name(tmp_path):
    """Torch looks entries up without regard to case."""
    path = tmp_path / "model.pt"
    torch.jit.script(Wakes()).save(str(path))
    rewritten(path, lambda name, data: [(name.replace(".py", ".PY"), data)])
    with pytest.raises(ModelForbiddenError, match="__setstate__"):
        check_torchscript(path)


class Reads(nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/hostname", size=1, dtype=torch.uint8)


class Saves(nn.Module):
    def forward(self, x):
        torch.save([x], "taken")
        return x


class Seeds(nn.Module):
    def forward(self, x):
        torch.manual_seed(0)
        return x


class Differentiates(nn.Module):
    def forward(self, x):
        return torch.autograd.grad([x.sum()], [x])[0]


class Profiles(nn.Module):
    def forward(self, x):
        handle = torch.ops.profiler._record_function_enter("mine", None)
        torch.ops.profiler._record_function_exit(handle)
        return x


IMPURE = {
    Reads: "aten::from_file",
    Saves: "aten::save",
    Seeds: "aten::manual_seed",
    Differentiates: "torch.autograd.grad",
    Profiles: "profiler::_record_function_enter",
}


@pytest.mark.parametrize(("model", "operator"), IMPURE.items(), ids=lambda x: str(x)[-20:])
def test_an_operator_that_does_not_only_compute_is_refused(tmp_path, model, operator):
    """Files, seeds, gradients and clocks are the server's."""
    torch.jit.script(model()).save(str(tmp_path / "model.pt"))
    with pytest.raises(ModelForbiddenError, match=f"operator {operator} in") as caught:
        check_torchscript(tmp_path / "model.pt")
    assert caught.value.where.startswith("model/code/__torch__/")
    assert int(caught.value.where.rpartition("line ")[2]) > 5


CALLS = {
    b"ops.mine.attack(input)": "mine::attack",
    b"ops . mine\\\n .attack (input)": None,
    b"ops . mine . attack (input)": "mine::attack",
    b"torch\t.save(input, 'x')": "aten::save",
    b"ops.aten.save(input, 'x')": "aten::save",
    b"ops.prim.PythonOp(input)": "prim::PythonOp",
    b"ops.prim.rpc_async(input)": "prim::rpc_async",
    b"ops.quantized.add(input, input, 1., 0)": "quantized::add",
    b"'torch.save('": None,
    b'"# torch.save( \\" torch.save("': None,
    b"torch.relu(input) # torch.save(input)": None,
    b"mytorch.save(input)": None,
    b"torch.lstm(input)": None,
    b"torch.bernoulli_(input, 0.5)": None,
}


@pytest.mark.parametrize(("call", "operator"), CALLS.items())
def test_operators_are_told_by_their_calls(archive, call, operator):
    """However the code is laid out; what is in texts and comments is no call."""
    with_code(archive, b"torch.relu(input)", call)
    if operator is None:
        check_torchscript(archive)
    else:
        with pytest.raises(ModelForbiddenError, match=f"operator {operator} in"):
            check_torchscript(archive)


def test_every_operator_with_a_translation_may_be_named():
    """The two lists say what is harmless, and what is understood: the one holds the other."""
    translated = {f"aten::{name}" for name in operators.ALLOWED if hasattr(torch.ops.aten, name)}
    written = {kind for kind in language.OPERATORS if not kind.startswith("prim::")}
    assert [kind for kind in sorted(translated | written) if not pure(kind)] == []


DEEP = {
    "brackets": lambda n: b"(" * n + b"input" + b")" * n,
    "calls": lambda n: b"torch.relu(" * n + b"input" + b")" * n,
    "a sum": lambda n: b"input" + b"+input" * n,
    "a sum of calls": lambda n: b"input" + b"+torch.add(input,input)" * n,
    "signs": lambda n: b"-" * n + b"input",
    "subscripts": lambda n: b"input" + b"[0]" * n,
    "methods": lambda n: b"input" + b".relu()" * n,
}


@pytest.mark.parametrize("kind", DEEP)
def test_an_expression_that_ends_torchs_compiler_is_refused(archive, kind):
    """It recurses, and takes the process with it."""
    with_code(archive, b"torch.relu(input)", DEEP[kind](200))
    check_torchscript(archive)
    with_code(archive, DEEP[kind](200), DEEP[kind](2001))
    with pytest.raises(ModelForbiddenError, match=r"nested more than 2000 deep in .*line \d+"):
        check_torchscript(archive)


def branches(count):
    """Statements of one choice among ``count``, before a return."""
    chain = b"".join(b"  elif %d == 1:\n    y = input\n" % at for at in range(1, count))
    return b"  if False:\n    y = input\n" + chain + b"  else:\n    y = input\n  return "


def test_a_chain_of_branches_that_ends_torchs_compiler_is_refused(archive):
    """Each is compiled within the one before, though the text is no deeper."""
    with_code(archive, b"  return ", branches(200))
    check_torchscript(archive)
    with_code(archive, branches(200), branches(2002))
    with pytest.raises(ModelForbiddenError, match=r"nested more than 2000 deep in .*line 400\d"):
        check_torchscript(archive)


def test_a_long_list_is_not_deep(archive):
    """Tables of numbers are written as lists."""
    with_code(archive, b"torch.relu(input)", b"[" + b"-1, " * 5000 + b"-1]")
    check_torchscript(archive)
