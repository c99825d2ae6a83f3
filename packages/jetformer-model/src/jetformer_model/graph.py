"""A fixed-point network as a small graph of exact operations (docs/interfaces/model-state.md).

Each operation gives one array of a single jet, whose shape follows from those of its sources. `GraphBuilder` in
`graph_builder.py` writes one in the notation of its equations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jetformer_model.errors import ModelError
from jetformer_model.graph_shapes import ATTRIBUTES, Shape, shape_of

OUTPUT = "logits"


@dataclass(frozen=True)
class Operation:
    """One operation: what it does, its unique name, the names of its sources, and its attributes."""

    op: str
    name: str
    of: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    def to_json(self) -> dict[str, Any]:
        """As in the header of a state."""
        return {"op": self.op, "name": self.name, "of": list(self.of), **self.attributes}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Operation:
        """Inverse of `to_json`. Raises ModelError for what is no operation."""
        try:
            attributes = {key: value for key, value in stored.items() if key not in ("op", "name", "of")}
            return cls(str(stored["op"]), str(stored["name"]), tuple(map(str, stored["of"])), attributes)
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(f"graph: expected an operation with op, name and of, got {stored!r}") from error


@dataclass(frozen=True)
class Graph:
    """Operations in order, sources before users; the last word is the `quantise` named "logits".

    Raises ModelError, naming the operation, if one is unknown, lacks a source or an attribute, or has sources of shapes that
    don't go together.
    """

    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        assert self.shapes  # so that a graph that exists is a good one
        output = self.by_name.get(OUTPUT)
        if output is None or output.op != "quantise" or len(self.shapes[OUTPUT]) != 1:
            raise ModelError(
                "graph: expected an operation 'quantise' with the name 'logits' and one axis, found none"
            )

    @cached_property
    def by_name(self) -> dict[str, Operation]:
        """The operations by their names."""
        return {operation.name: operation for operation in self.operations}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of what each operation gives, without a jet axis."""
        return shapes_of(self.operations)

    @cached_property
    def table_indices(self) -> frozenset[str]:
        """The `quantise` operations whose values are read as positions in a table."""
        return frozenset(operation.of[0] for operation in self.operations if operation.op == "table")

    def of_kind(self, *kinds: str) -> list[Operation]:
        """The operations of these kinds, in order."""
        return [operation for operation in self.operations if operation.op in kinds]

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of the tensors of weights that the graph uses: all but the entries of tables."""
        found: dict[str, Shape] = {}
        for operation in self.of_kind("parameter", "linear"):
            if operation.op == "parameter":
                found[operation.name] = self.shapes[operation.name]
                continue
            outputs = operation["outputs"]
            found[f"{operation.name}.weight"] = (outputs, self.shapes[operation.of[0]][-1])
            if operation["bias"]:
                found[f"{operation.name}.bias"] = (outputs,)
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """As in the header of a state."""
        return [operation.to_json() for operation in self.operations]

    @classmethod
    def from_json(cls, stored: Iterable[Mapping[str, Any]]) -> Graph:
        """Inverse of `to_json`. Raises ModelError as the constructor does."""
        if not isinstance(stored, list):
            raise ModelError(f"graph: expected a list of operations, got {type(stored).__name__}")
        return cls(tuple(Operation.from_json(operation) for operation in stored))


def shapes_of(operations: Iterable[Operation]) -> dict[str, Shape]:
    """The shape of what each operation gives; raises ModelError as `Graph` does."""
    by_name: dict[str, Operation] = {}
    shapes: dict[str, Shape] = {}
    for operation in operations:
        _check(operation, by_name)
        sources = [shapes[source] for source in operation.of]
        try:
            shapes[operation.name] = shape_of(operation.op, sources, operation.attributes)
        except (ValueError, TypeError, IndexError) as error:
            raise ModelError(f"graph operation {operation.name!r} ({operation.op}): {error}") from error
        by_name[operation.name] = operation
    return shapes


def _check(operation: Operation, before: Mapping[str, Operation]) -> None:
    name = f"graph operation {operation.name!r}"
    if operation.op not in ATTRIBUTES:
        raise ModelError(
            f"{name}: unknown operation {operation.op!r}; expected one of {', '.join(ATTRIBUTES)}"
        )
    if operation.name in before:
        raise ModelError(f"{name}: there is one of this name already")
    for source in operation.of:
        if source not in before:
            raise ModelError(f"{name}: its source {source!r} is no operation before it")
    for attribute in ATTRIBUTES[operation.op]:
        if attribute not in operation.attributes:
            raise ModelError(f"{name} ({operation.op}): the attribute {attribute!r} is missing")
    if operation.op in ("features", "mask") and operation.name != operation.op:
        raise ModelError(f"{name}: expected the name {operation.op!r} for an operation {operation.op!r}")
    if operation.op == "table" and before[operation.of[0]].op != "quantise":
        raise ModelError(f"{name} (table): expected a 'quantise' as its source, got {operation.of[0]!r}")
