"""A processor's stand-in for a CUDA graph: it, too, knows nothing but operations and memory."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class Tape(TorchDispatchMode):
    """Writes down each operation with the tensors it reads and writes; replays just those.

    As with a CUDA graph, recording changes nothing, numbers that Python computed are as they were
    when it was recorded, and what waits for the device cannot be recorded.
    """

    def __init__(self):
        super().__init__()
        self.operations, self.replays = [], 0
        self._undo = []

    def aside(self, work):
        return work()

    def record(self, work):
        random = torch.get_rng_state()
        try:
            with self:
                return work()
        finally:
            torch.set_rng_state(random)
            with torch.no_grad():
                for tensor, before in reversed(self._undo):
                    tensor.copy_(before)

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for operation, args, kwargs, before in self.operations:
            now = operation(*args, **kwargs)
            for old, new in zip(tensors(before), tensors(now), strict=True):
                if old.data_ptr() != new.data_ptr():  # neither in place nor a view
                    old.copy_(new)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation in WAITS:
            raise RuntimeError(f'{operation} waits for the device')
        kwargs = kwargs or {}
        named = dict(zip([a.name for a in operation._schema.arguments], args, strict=False))
        for argument in operation._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tensors((named | kwargs).get(argument.name)):
                    self._undo.append((tensor, tensor.detach().clone()))
        result = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, result))
        return result


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
