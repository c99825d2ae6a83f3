"""A network in fixed point: the graph that firmware computes, trainable in PyTorch.

The operations, the meaning of (k, i, f) and the names of all tensors are in docs/interfaces/model-state.md. In evaluation
everything is computed in float64, where every sum and product of such a network is exact, so the result does not depend on
the order in which a library adds. In training the same operations run in float32, and gradients pass straight through
rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from jetformer_model.errors import ModelError
from jetformer_model.exact_operations import apply
from jetformer_model.graph import OUTPUT, Graph, Operation
from jetformer_model.graph_shapes import Shape
from jetformer_model.quantiser import Quantiser, StraightThrough
from jetformer_model.taggers.tagger import in_slots
from jetformer_model.tokens import Ragged, pad

# What a table may hold: of x >= 0, and of the first step of its index, which stands for 0 where the function has a pole.
FUNCTIONS = {
    "exp": lambda x, first: torch.exp(-x),
    "reciprocal": lambda x, first: 1 / x.clamp(min=first),
}


class FixedPointNetwork(nn.Module):
    """`graph` with weights, all of whose numbers get a (k, i, f) by `set_formats`; until then it computes in floating point.

    architecture: that of the float network it comes from, as in the header of a state, for people and for counting FLOPs
    tensors: weights by the names of `graph.parameter_shapes()`; zeros if not given

    In the module's own dictionaries the name "a.b" is "/a/b": no dots, and nothing that a dictionary of modules is called.
    """

    def __init__(
        self, graph: Graph, architecture: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.graph = graph
        self.architecture = dict(architecture)
        self.weights = nn.ParameterDict()
        self.quantisers = nn.ModuleDict()
        self.tables = nn.Module()
        constants = {
            operation.name if operation.op == "parameter" else f"{operation.name}.weight"
            for operation in graph.of_kind("parameter", "linear")
            if "constant" in operation.attributes
        }
        for name, shape in graph.parameter_shapes().items():
            value = torch.zeros(shape) if tensors is None else tensors[name].detach().clone().float()
            self.weights[_key(name)] = nn.Parameter(value, requires_grad=name not in constants)
            self.quantisers[_key(name)] = Quantiser()
        for operation in graph.of_kind("features", "quantise", "table"):
            self.quantisers[_key(operation.name)] = Quantiser(operation.attributes.get("along", ()))
        for operation in graph.of_kind("table"):
            if operation["function"] not in FUNCTIONS:
                raise ModelError(f"table {operation.name!r}: unknown function {operation['function']!r}")
            self.tables.register_buffer(_key(operation.name), torch.zeros(0))

    @property
    def constituents(self) -> int:
        """P, the constituents that a jet is cut or padded to."""
        return self.graph.shapes["features"][0]

    @property
    def features(self) -> int:
        """F, numbers a constituent."""
        return self.graph.shapes["features"][1]

    @property
    def classes(self) -> int:
        """C."""
        return self.graph.shapes[OUTPUT][0]

    @property
    def name(self) -> str:
        """Of the float network that it comes from."""
        return str(self.architecture["name"])

    def forward(self, x: Tensor, where: Tensor | Ragged) -> Tensor:
        """Logits [jets, classes]; float64 on the grid of the format `logits` in evaluation.

        x, where: normalised features and a mask (True = real constituent), padded or ragged, as for any tagger
        """
        if isinstance(where, Ragged):
            x, where = pad(x, where)
        with torch.autocast(x.device.type, enabled=False):
            logits = self.run(x, where)[OUTPUT]
        return logits.expand(len(x), -1)

    def run(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What every operation gives, by name; the first axis is that of jets, of length 1 where all jets have the same."""
        x, mask = in_slots(x, mask, self.constituents)
        x = x.float() if self.training else x.double()
        values: dict[str, Tensor] = {}
        for operation in self.graph.operations:
            values[operation.name] = self._run(
                operation, [values[source] for source in operation.of], x, mask
            )
        return values

    def _run(self, operation: Operation, sources: list[Tensor], x: Tensor, mask: Tensor) -> Tensor:
        name = operation.name
        if operation.op == "features":
            return torch.where(mask.unsqueeze(-1), self.quantiser(name)(x), 0.0)
        if operation.op == "mask":
            return mask.to(x.dtype)
        if operation.op == "parameter":
            return self._weight(name, x.dtype).unsqueeze(0)
        if operation.op == "linear":
            bias = self._weight(f"{name}.bias", x.dtype) if operation["bias"] else None
            return functional.linear(sources[0], self._weight(f"{name}.weight", x.dtype), bias)
        if operation.op == "quantise":
            quantised: Tensor = self.quantiser(name)(sources[0])
            return quantised
        if operation.op == "table":
            return self._look_up(operation, sources[0])
        return apply(operation.op, sources, operation.attributes)

    def quantiser(self, name: str) -> Quantiser:
        """That of a weight, of a table's entries, of the features or of a `quantise`."""
        module = self.quantisers[_key(name)]
        assert isinstance(module, Quantiser)
        return module

    def replace_quantiser(self, name: str, quantiser: Quantiser) -> None:
        """Another one in its place, such as one whose format is trained."""
        self.quantisers[_key(name)] = quantiser

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(iter(self.weights.values())).device

    def named_quantisers(self) -> Iterator[tuple[str, Quantiser]]:
        """All quantisers with their names."""
        for key in self.quantisers:
            name = key[1:].replace("/", ".")
            yield name, self.quantiser(name)

    def weight(self, name: str) -> nn.Parameter:
        """A weight as trained, not rounded."""
        parameter = self.weights[_key(name)]
        assert isinstance(parameter, nn.Parameter)
        return parameter

    def table(self, name: str) -> Tensor:
        """The entries of a table; none before `set_formats`."""
        entries = getattr(self.tables, _key(name))
        assert isinstance(entries, Tensor)
        return entries

    def shape(self, name: str) -> Shape:
        """The shape that the formats of a quantiser broadcast against; () for a table's entries."""
        operation = self.graph.by_name.get(name)
        if operation is None or operation.op == "parameter":
            return self.graph.parameter_shapes()[name]
        return () if operation.op == "table" else self.graph.shapes[name]

    def set_formats(self, formats: Mapping[str, Tensor]) -> None:
        """Give every quantiser its (k, i, f) [..., 3], by name, and fill the tables.

        Raises ModelError if one has no format or one that does not fit.
        """
        for name, quantiser in self.named_quantisers():
            if name not in formats:
                raise ModelError(f"the number format of {name!r} is missing")
            if not _fits(tuple(formats[name].shape[:-1]), self.shape(name)):
                raise ModelError(
                    f"the number format of {name!r}: expected leading axes that broadcast against "
                    f"{self.shape(name)}, got {tuple(formats[name].shape[:-1])}"
                )
            quantiser.set_format(formats[name])
        for operation in self.graph.of_kind("table"):
            self._fill(operation)

    def stored(self) -> dict[str, Tensor]:
        """What a state file holds: every weight rounded to its grid, tables, and formats."""
        found = {f"{name}.kif": quantiser.kif for name, quantiser in self.named_quantisers()}
        for name in self.graph.parameter_shapes():
            found[name] = self.quantiser(name)(self.weight(name).detach().double()).float()
        return found | {
            f"{table.name}.entries": self.table(table.name) for table in self.graph.of_kind("table")
        }

    def load_stored(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `stored`; names, shapes and dtypes are taken to be right, formats are checked."""
        self.set_formats(
            {name.removesuffix(".kif"): t for name, t in tensors.items() if name.endswith(".kif")}
        )
        self.load_weights(tensors)
        for table in self.graph.of_kind("table"):
            setattr(self.tables, _key(table.name), tensors[f"{table.name}.entries"].clone())

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Weights by name, as trained or rounded."""
        for name in self.graph.parameter_shapes():
            self.weight(name).data = tensors[name].detach().clone()

    def first_off_grid(self) -> str | None:
        """The first weight or table with a value that its format cannot hold, or None."""
        values = {name: self.weight(name).detach() for name in self.graph.parameter_shapes()}
        tables = {table.name: self.table(table.name) for table in self.graph.of_kind("table")}
        for name, tensor in (values | tables).items():
            if not torch.equal(self.quantiser(name)(tensor.double()), tensor.double()):
                return f"{name}.entries" if name in tables else name
        return None

    def _weight(self, name: str, dtype: torch.dtype) -> Tensor:
        quantised: Tensor = self.quantiser(name)(self.weight(name).to(dtype))
        return quantised

    def _fill(self, operation: Operation) -> None:
        index = self.quantiser(operation.of[0])
        n = (
            torch.arange(number_of_entries(index.kif, operation.of[0]), dtype=torch.float64)
            * index.first_step
        )
        entries = FUNCTIONS[operation["function"]](n, index.first_step).to(index.kif.device)
        setattr(self.tables, _key(operation.name), self.quantiser(operation.name)(entries).float())

    def _look_up(self, operation: Operation, x: Tensor) -> Tensor:
        index, entries = self.quantiser(operation.of[0]), self.table(operation.name)
        smooth: Tensor = FUNCTIONS[operation["function"]](x, index.first_step)
        if not len(entries):
            rounded: Tensor = self.quantiser(operation.name)(smooth)
            return rounded
        place = (x.detach().double() / index.first_step).long()
        return StraightThrough.apply(entries.to(x.dtype)[place], smooth)


def number_of_entries(kif: Tensor, name: str) -> int:
    """2^(i + f) of a table whose index has the format `kif`. Raises ModelError if it cannot index one."""
    k, i, f = (int(number) for number in kif.reshape(-1)[:3])
    if kif.numel() != 3 or k or not 1 <= i + f <= 16:
        raise ModelError(
            f"{name!r} is the index of a table: expected one unsigned format of 1 to 16 bits, got {kif.tolist()}"
        )
    return int(2 ** (i + f))


def _fits(shape: Shape, target: Shape) -> bool:
    padded = (1,) * (len(target) - len(shape)) + shape
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(padded, target, strict=True))


def _key(name: str) -> str:
    return "/" + name.replace(".", "/")
