"""Asks PyTorch itself. `FAKE_ALLO=wrong` is off by 1."""

import os

import torch

from allo._mlir.ir import IntegerType, Value


def from_pytorch(model, example_inputs, leaf_modules, target, project):
    assert IntegerType.isinstance(IntegerType())
    assert not Value.isinstance(IntegerType())
    assert target == "llvm"

    def call(x):
        assert x.shape == tuple(example_inputs[0].shape)
        return model(torch.from_numpy(x)).numpy() + (os.environ.get("FAKE_ALLO") == "wrong")

    return call
