"""Which operators the code of a model may name: those that only compute.

More of them may be named than have a translation, because programs name what inference never comes
to. That one has no translation is for the translator to say, and for the user no offence.
"""

from functools import cache
from typing import Final

import torch
from torch._C import FunctionSchema

FACTORIES: Final = frozenset(
    """
    arange bartlett_window blackman_window empty empty_permuted empty_strided eye fft_fftfreq
    fft_rfftfreq full hamming_window hann_window kaiser_window linspace logspace ones rand randint
    randn randperm range scalar_tensor tril_indices triu_indices zeros
    """.split()  # noqa: SIM905 - names to read, not to punctuate
)
"""Operators of torch that make a tensor of numbers alone."""

LANGUAGE: Final = frozenset(
    """
    aten::Bool aten::Complex aten::ComplexImplicit aten::Delete aten::Float aten::FloatImplicit
    aten::Int aten::IntImplicit aten::ScalarImplicit aten::Size aten::__contains__
    aten::__derive_index aten::__getitem__ aten::__interpolate aten::__is__ aten::__isnot__
    aten::__not__ aten::__range_length aten::__round_to_zero_floordiv aten::__upsample
    aten::__upsample_bilinear aten::__upsample_nearest aten::_get_tracing_state
    aten::_grad_sum_to_size aten::_infer_size aten::_list_to_tensor aten::_no_grad_fill_
    aten::_no_grad_normal_ aten::_no_grad_uniform_ aten::_no_grad_zero_ aten::_pack_sequence
    aten::_set_item aten::_size_if_not_equal aten::_tensor_to_list aten::_unwrap_optional
    aten::append aten::as_tensor aten::bin aten::broadcast_shapes aten::can_cast aten::capitalize
    aten::ceil aten::center aten::chr aten::clear aten::copy aten::count aten::cpu aten::cuda
    aten::degrees aten::device aten::dict aten::divmod aten::element_size aten::endswith
    aten::expandtabs aten::extend aten::fabs aten::factorial aten::find aten::floor aten::floordiv
    aten::format aten::gamma aten::get aten::get_autocast_dtype aten::has_torch_function aten::hash
    aten::hex aten::index aten::insert aten::is_autocast_cpu_enabled aten::is_autocast_enabled
    aten::is_grad_enabled aten::is_scripting aten::isalnum aten::isalpha aten::isdecimal
    aten::isdigit aten::isidentifier aten::islower aten::isnumeric aten::isprintable aten::isspace
    aten::istitle aten::isupper aten::items aten::join aten::keys aten::len aten::list aten::ljust
    aten::lower aten::lstrip aten::mathremainder aten::modf aten::oct aten::ord aten::partition
    aten::percentFormat aten::pop aten::popitem aten::promote_types aten::radians aten::remove
    aten::replace aten::reverse aten::rfind aten::rindex aten::rjust aten::rpartition aten::rsplit
    aten::rstrip aten::setdefault aten::sorted aten::splitlines aten::startswith aten::str
    aten::strip aten::swapcase aten::tensor aten::title aten::update aten::upper aten::values
    aten::warn aten::zfill

    prim::ChunkSizes prim::ConstantChunk prim::EnumName prim::EnumValue prim::IfThenElse
    prim::ModuleContainerIndex prim::NumToTensor prim::RaiseException prim::StringIndex
    prim::TupleIndex prim::TupleUnpack prim::Uninitialized prim::abs prim::data prim::device
    prim::dtype prim::id prim::index prim::is_cpu prim::is_cuda prim::is_ipu prim::is_maia
    prim::is_meta prim::is_mkldnn prim::is_mps prim::is_mtia prim::is_nested prim::is_quantized
    prim::is_sparse prim::is_sparse_csr prim::is_vulkan prim::is_xla prim::is_xpu prim::itemsize
    prim::layout prim::max prim::min prim::name prim::nbytes prim::rangelist prim::requires_grad
    prim::tolist prim::type prim::unchecked_cast prim::unchecked_unwrap_optional
    """.split()  # noqa: SIM905
)
"""Operators of TorchScript's own: on numbers, texts, lists and dictionaries, and on what a tensor
is. What of this language reads, writes, calls, traces, waits or seeds is not among them."""

TENSORS: Final = frozenset(
    {"Tensor", "List[Tensor]", "Optional[Tensor]", "List[Optional[Tensor]]", "Dict[str, Tensor]"}
)


def pure(called: str) -> bool:
    """Whether ``called``, as ``namespace::name``, is an operator that only computes."""
    namespace, _, name = called.partition("::")
    if called in LANGUAGE or (namespace == "aten" and name in FACTORIES):
        return True
    return called in _functions_of_tensors()


@cache
def _functions_of_tensors() -> frozenset[str]:
    """Torch's own operators that take a tensor: they compute with it, and with nothing else.

    They are those of its dispatcher: what TorchScript adds to them is ``LANGUAGE``, or not pure.
    """
    own = {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}  # noqa: SLF001
    return frozenset(
        schema.name
        for schema in torch._C._jit_get_all_schemas()  # noqa: SLF001 - nothing public lists them
        if schema.name.startswith("aten::") and schema.name in own and _takes_tensor(schema)
    )


def _takes_tensor(schema: FunctionSchema) -> bool:
    return any(
        str(argument.type) in TENSORS and not argument.is_out for argument in schema.arguments
    )
