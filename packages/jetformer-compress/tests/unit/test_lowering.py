"""A tagger as a graph, its numbers unquantised, gives the tagger's logits."""

from typing import Any

import pytest
import torch
from torch import Tensor

from jetformer_compress.errors import CompressError
from jetformer_compress.lowering import lower_tagger
from jetformer_model.graph import Graph
from jetformer_model.inputs import Inputs
from jetformer_model.norm import MaskedBatchNorm
from jetformer_model.taggers import build

P, CLASSES = 7, 3
INPUTS = Inputs(("pt", "etarel", "phirel", "eta"), ("GeV", "1", "rad", "1"), (0.0,) * 4, (1.0,) * 4, 0.0)
F = len(INPUTS.features)
TRIGGER = {
    f"{attention}-{queries}-{pooling}": {"attention": attention, "queries": queries, "pooling": pooling}
    for attention in ("softmax", "relu", "linear", "linformer")
    for queries, pooling in (("class_token", "class_token"), ("constituents", "mean"), ("class_token", "sum"))
}
NETWORKS = (
    ("mlp", {}),
    ("deep-sets", {}),
    ("jedi-linear", {"embed_dim": 12}),
    ("mlp-mixer", {}),
    ("jetformer-linformer", {"preset": "tiny", "blocks": 2, "embed_dim": 12, "heads": 3}),
    *(("trigger-8", {"embed_dim": 12, "blocks": 2, "heads": 3, **sizes}) for sizes in TRIGGER.values()),
)


def network(name: str, sizes: dict[str, Any]) -> Any:
    torch.manual_seed(3)
    made = build(name, INPUTS, constituents=P, classes=CLASSES, **sizes)
    for module in made.modules():
        if isinstance(module, MaskedBatchNorm):
            for tensor in (module.running_mean, module.bias):
                torch.nn.init.normal_(tensor, std=0.3)
            module.running_var.uniform_(0.3, 0.8)
            module.weight.data.uniform_(-1.5, 1.5)
    return made.eval()


def jets() -> tuple[Tensor, Tensor]:
    """Jets of 0, 1, some and all constituents, among them one with padding in front."""
    mask = torch.arange(P) < torch.tensor([0, 1, 3, 6, P, P])[:, None]
    mask[-1, :2] = False
    return torch.randn(6, P, F, generator=torch.Generator().manual_seed(4)) * mask.unsqueeze(-1), mask


def unquantised(graph: Graph, tensors: dict[str, Tensor], x: Tensor, mask: Tensor) -> Tensor:
    """Logits of one jet in float64: quantities as they are, tables as functions."""
    values: dict[str, Tensor] = {"features": x.double(), "mask": mask.double()}
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    for operation in graph.operations:
        if operation.name in ("features", "mask"):
            continue
        values[operation.name] = result(operation, [values[source] for source in operation.of], tensors)
        assert values[operation.name].shape == graph.shapes[operation.name], operation.name
    return values["logits"]


def result(o: Any, of: list[Tensor], tensors: dict[str, Tensor]) -> Tensor:
    if o.op == "linear":
        bias = tensors[f"{o.name}.bias"] if o["bias"] else 0
        return of[0] @ tensors[f"{o.name}.weight"].T + bias
    if o.op == "table":
        return {"exp": lambda n: torch.exp(-n), "reciprocal": lambda n: 1 / torch.where(n == 0, 1, n)}[
            o["function"]
        ](of[0])
    if o.op == "maximum":
        shown = of[0].masked_fill(of[1] == 0, -torch.inf) if len(of) == 2 else of[0]
        return torch.nan_to_num(shown.amax(o["axis"], keepdim=o.attributes.get("keep", False)), neginf=0.0)
    return {
        "parameter": lambda: tensors[o.name],
        "quantise": lambda: of[0],
        "add": lambda: of[0] + of[1],
        "subtract": lambda: of[0] - of[1],
        "multiply": lambda: of[0] * of[1],
        "matmul": lambda: of[0] @ of[1],
        "relu": lambda: of[0].clamp(min=0),
        "sum": lambda: of[0].sum(o["axis"], keepdim=o.attributes.get("keep", False)),
        "gate": lambda: torch.where(of[1] == 1, of[0], 0.0),
        "reshape": lambda: of[0].reshape(o["shape"]),
        "transpose": lambda: of[0].permute(o["axes"]),
        "slice": lambda: of[0].narrow(o["axis"], o["start"], o["stop"] - o["start"]),
        "concatenate": lambda: torch.cat(of, o["axis"]),
    }[o.op]()


@torch.no_grad()
@pytest.mark.parametrize(("name", "sizes"), NETWORKS)
def test_the_graph_computes_the_network_s_logits(name: str, sizes: dict[str, Any]) -> None:
    tagger, (x, mask) = network(name, sizes), jets()
    graph, tensors = lower_tagger(tagger)
    expected = tagger.double()(x.double(), mask)
    found = torch.stack([unquantised(graph, tensors, *jet) for jet in zip(x, mask, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std(0).min() > 3e-3  # it depends on the jet


def test_every_tensor_is_used_and_of_its_shape() -> None:
    for name, sizes in NETWORKS:
        graph, tensors = lower_tagger(network(name, sizes))
        assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == graph.parameter_shapes()
        assert Graph.from_json(graph.to_json()).operations == graph.operations


def test_a_class_token_costs_one_product_of_variables_a_value_and_constituent() -> None:
    sizes = {"attention": "linear", "queries": "class_token", "pooling": "sum", "heads": 4}
    graph, _ = lower_tagger(network("trigger-8", sizes | {"blocks": 1}))
    [product] = graph.of_kind("matmul", "multiply")
    left, right = (graph.shapes[source] for source in product.of)
    assert (left, right) == ((4, 1, P), (4, P, 6))


@pytest.mark.parametrize("change", ({"norm": "layer"}, {"activation": "silu"}))
def test_a_linformer_that_cannot_be_folded_is_refused_with_the_way_out(change: dict[str, str]) -> None:
    with pytest.raises(CompressError, match="--norm batch --activation relu"):
        lower_tagger(network("jetformer-linformer", {"preset": "tiny"} | change))


def test_a_tagger_without_a_form_for_firmware_is_refused() -> None:
    with pytest.raises(CompressError, match="particlenet: there is no fixed-point form of it"):
        lower_tagger(network("particlenet", {}))
