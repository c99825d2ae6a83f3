"""Each tagger against its formula, written out constituent by constituent or pair by pair in plain Python."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jetformer_data.features import FEATURE_SETS
from jetformer_model.config import preset
from jetformer_model.inputs import Inputs
from jetformer_model.taggers.deep_sets import DeepSets
from jetformer_model.taggers.interaction_network import InteractionNetwork
from jetformer_model.taggers.jedi_linear import JediLinear
from jetformer_model.taggers.kinematics import Kinematics, wrapped
from jetformer_model.taggers.linformer import Linformer
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.pairwise import PairBias, pair_features
from jetformer_model.taggers.particle_mlp import ParticleMLP
from jetformer_model.taggers.particle_transformer import Block, ParticleTransformer
from jetformer_model.taggers.particlenet import EdgeConv, ParticleNet, around_the_first, nearest

REAL = 3  # constituents of the one jet, of 5 slots
INPUTS = Inputs(
    ("part_pt_log", "etarel", "charge", "phi"),
    ("", "1", "e", "rad"),
    (4.0, 0.0, 0.1, 0.5),
    (0.7, 0.1, 0.5, 2.0),
    0,
)


@pytest.fixture
def jet() -> Tensor:
    """[5, 4] float32, of which the last two rows are padding."""
    torch.manual_seed(11)
    return torch.randn(5, 4)


@pytest.fixture
def mask() -> Tensor:
    return torch.arange(5)[None] < REAL


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def with_statistics(network: Any) -> Any:
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            parameter.normal_()
    return network.eval()


def test_deep_sets(jet: Tensor, mask: Tensor) -> None:
    network = DeepSets(5, 4, 3)
    expected = network.rho(sum(network.phi(jet[i]) for i in range(REAL)) / REAL)
    torch.testing.assert_close(network(jet[None], mask)[0], expected)


def test_the_mlp_reads_zeros_for_padding(jet: Tensor, mask: Tensor) -> None:
    network = ParticleMLP(5, 4, 3, (7,))
    first, last = network.layers.layers
    read = torch.cat([*jet[:REAL], torch.zeros(8)])
    torch.testing.assert_close(network(jet[None], mask)[0], last(first(read).clamp(min=0)))


@pytest.mark.parametrize("pooling", ("mean", "sum", "places"))
def test_interaction_network(pooling: str, jet: Tensor, mask: Tensor) -> None:
    network = InteractionNetwork(
        5, 4, 3, edge_widths=(7, 2), node_widths=(6, 3), head_widths=(5,), pooling=pooling,
        activations=("elu", "selu", "relu"),
    )  # fmt: skip
    objects = []
    for i in range(REAL):
        effects = [network.edges(torch.cat([jet[i], jet[j]])) for j in range(REAL) if j != i]
        objects.append(network.nodes(torch.cat([jet[i], sum(effects)])))
    total = sum(objects)
    pooled = {"mean": total / REAL, "sum": total, "places": torch.cat([*objects, torch.zeros(6)])}[pooling]
    torch.testing.assert_close(network(jet[None], mask)[0], network.head(pooled))


def test_jedi_linear(jet: Tensor, mask: Tensor) -> None:
    network = with_statistics(JediLinear(5, 4, 3, embed_dim=6, head_widths=(5,)))
    h = [network.embedding(jet[i]) for i in range(REAL)]
    everything = network.of_all(sum(h) / 4)  # 5 constituents: 2^-round(log2 5)
    z = [network.update(network.own(each) + everything) for each in h]
    torch.testing.assert_close(network(jet[None], mask)[0], network.head(sum(z) / 16))


def test_mlp_mixer(jet: Tensor, mask: Tensor) -> None:
    network = with_statistics(MLPMixer(5, 4, 3, hidden=6))
    x = torch.cat([jet[:REAL], torch.zeros(2, 4)])
    mixing = network.along_constituents
    weight, norm = mixing.layers[0].weight, mixing.norms[0]
    h = network.along_features(x)
    mixed = torch.empty(5, 4)
    for place in range(5):
        for feature in range(4):
            value = sum(weight[place, other] * h[other, feature] for other in range(5))
            value = (value - norm.running_mean[place]) / math.sqrt(norm.running_var[place] + 1e-5)
            mixed[place, feature] = value * norm.weight[place] + norm.bias[place]
    z = network.again_along_features(x + mixed)
    pooled = sum(network.weights_of_places.weight[0, place] * z[place] for place in range(5))
    torch.testing.assert_close(network(jet[None], mask)[0], network.head(pooled), rtol=1e-4, atol=1e-5)


def test_kinematics_undo_the_normalisation(jet: Tensor, mask: Tensor) -> None:
    pt, eta, phi = Kinematics(INPUTS, ("pt", "eta", "phi"))(jet[None], mask)
    torch.testing.assert_close(pt[0, :REAL], (jet[:REAL, 0] * 0.7 + 4.0).exp())
    torch.testing.assert_close(eta[0, :REAL], jet[:REAL, 1] * 0.1)
    torch.testing.assert_close(phi[0, :REAL], jet[:REAL, 3] * 2.0 + 0.5)
    assert torch.stack([pt, eta, phi])[:, 0, REAL:].count_nonzero() == 0


@pytest.mark.parametrize("feature_set", sorted(FEATURE_SETS.keys() - {"particles"}))
def test_features_that_networks_are_trained_on_give_pt_and_angles(feature_set: str) -> None:
    """A jet of one constituent, each feature normalised with constants of its own."""
    names = FEATURE_SETS[feature_set].names
    stored = {"pt": 50.0, "etarel": 0.25, "phirel": -0.5}
    stored |= {"pt_log": math.log(50), "part_pt_log": math.log(50), "part_deta": 0.25, "part_dphi": -0.5}
    mean, std = torch.arange(len(names)) * 0.5, torch.arange(len(names)) + 2.0
    inputs = Inputs(names, ("",) * len(names), tuple(mean.tolist()), tuple(std.tolist()), 0)
    x = (torch.tensor([stored.get(name, 0.0) for name in names]) - mean) / std
    found = Kinematics(inputs, ("pt", "eta", "phi"))(x[None, None], torch.tensor([[True]]))
    expected = torch.tensor([50.0, 0.25, -0.5])
    torch.testing.assert_close(torch.stack(found).flatten(), expected, rtol=1e-4, atol=1e-4)


def test_angles_wrap_to_the_interval_that_holds_minus_pi() -> None:
    angles = torch.tensor([0.0, -math.pi, 3.5, -3.5, 7.0], dtype=torch.float64)
    expected = [0.0, -math.pi, 3.5 - 2 * math.pi, 2 * math.pi - 3.5, 7.0 - 2 * math.pi]
    torch.testing.assert_close(wrapped(angles), torch.tensor(expected, dtype=torch.float64))


def test_pair_features_from_four_momenta() -> None:
    """Against energies and momenta, for wide, narrow and wrapping pairs."""
    cases = [
        ((50.0, 0.3, 0.2), (20.0, -0.4, 0.5)),
        ((7.0, 1.1, 3.1), (900.0, 1.2, -3.1)),
        ((400.0, 0.05, 0.01), (300.0, 0.051, 0.012)),
    ]
    for a, b in cases:
        total = [0.0] * 4
        for pt, eta, phi in (a, b):
            parts = (pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
            total = [t + p for t, p in zip(total, parts, strict=True)]
        energy, *momentum = total
        dphi = abs(a[2] - b[2])
        delta = math.hypot(a[1] - b[1], min(dphi, 2 * math.pi - dphi))
        softer = min(a[0], b[0])
        expected = (delta, softer * delta, softer / (a[0] + b[0]), energy**2 - sum(p * p for p in momentum))
        found = pair_features([torch.tensor(q) for q in a], [torch.tensor(q) for q in b])
        torch.testing.assert_close(found, torch.tensor(expected).log(), rtol=1e-4, atol=1e-4)


def test_a_constituent_with_itself_has_finite_features() -> None:
    same = [torch.tensor(q) for q in (50.0, 0.3, 0.2)]
    delta, k_t, z, mass = pair_features(same, same).tolist()
    assert delta == k_t == mass == pytest.approx(math.log(1e-8))
    assert z == pytest.approx(math.log(0.5))


@pytest.mark.parametrize("pairs", ("real", "all", "square"))
def test_pair_bias_pair_by_pair(pairs: str, jet: Tensor, mask: Tensor) -> None:
    bias = with_statistics(PairBias(3, widths=(7, 5), pairs=pairs))
    momenta = Kinematics(INPUTS, ("pt", "eta", "phi"))(jet[None], mask)
    found = bias(momenta, mask)
    assert found.shape == (1, 3, 5, 5)
    for a in range(REAL):
        for b in range(REAL):
            rows = pair_features([q[:, a] for q in momenta], [q[:, b] for q in momenta])
            rows = bias.input_norm(rows)
            for layer, norm in zip(bias.layers, bias.norms, strict=True):
                rows = nn.functional.gelu(norm(layer(rows)))
            torch.testing.assert_close(found[0, :, a, b], rows[0], rtol=1e-4, atol=1e-5)


def test_particle_block_head_by_head(mask: Tensor) -> None:
    torch.manual_seed(5)
    block, x, bias = with_statistics(Block(6, 2, 7, 0.1)), torch.randn(1, 5, 6), torch.randn(1, 2, 5, 5)
    found = block.among_particles(x, bias.masked_fill(~mask[:, None, None], -math.inf))[0]
    q, k, v = block.qkv(block.attention_norm(x[0])).chunk(3, -1)
    for i in range(5):
        heads = []
        for head, part in enumerate((slice(0, 3), slice(3, 6))):
            scores = [
                math.exp(float(q[i, part] @ k[j, part]) / math.sqrt(3) + float(bias[0, head, i, j]))
                for j in range(REAL)
            ]
            attended = sum(s * v[j, part] for j, s in enumerate(scores)) / sum(scores)
            heads.append(block.head_scale[head] * attended)
        y = x[0, i] + block.output_norm(block.output(torch.cat(heads)))
        hidden = nn.functional.gelu(block.expand(block.feedforward_norm(y)))
        expected = block.residual_scale * y + block.contract(block.hidden_norm(hidden))
        torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=1e-5)


def test_class_block_attends_from_the_token_to_token_and_constituents(mask: Tensor) -> None:
    torch.manual_seed(6)
    block, x, token = with_statistics(Block(6, 1, 7, 0.0)), torch.randn(5, 6), torch.randn(6)
    keys = nn.functional.pad(mask, (1, 0), value=True)[:, None, None]
    found = block.to_class(token[None, None], x[None], keys)[0, 0]
    everything = block.attention_norm(torch.cat([token[None], x[:REAL]]))
    w_q, w_k, w_v = block.qkv.weight.chunk(3)
    b_q, b_k, b_v = block.qkv.bias.chunk(3)
    scores = (everything @ w_k.T + b_k) @ (w_q @ token + b_q) / math.sqrt(6)
    attended = block.head_scale * (scores.softmax(0) @ (everything @ w_v.T + b_v))
    y = token + block.output_norm(block.output(attended))
    hidden = nn.functional.gelu(block.expand(block.feedforward_norm(y)))
    expected = block.residual_scale * y + block.contract(block.hidden_norm(hidden))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_both_ways_to_choose_pairs_give_the_same_logits(jet: Tensor, mask: Tensor) -> None:
    real = with_statistics(ParticleTransformer(INPUTS, 5, 3, embed_dim=16, blocks=2))
    every = ParticleTransformer(INPUTS, 5, 3, embed_dim=16, blocks=2, pairs="all").eval()
    every.load_state_dict(real.state_dict())
    torch.testing.assert_close(every(jet[None], mask), real(jet[None], mask))


def test_pairwise_interactions_do_not_change_when_the_jet_is_turned(jet: Tensor, mask: Tensor) -> None:
    """phi enters through differences; what else reads the column is the embedding, here without weight for it."""
    network = with_statistics(ParticleTransformer(INPUTS, 5, 3, embed_dim=16, blocks=2))
    momenta = Kinematics(INPUTS, ("pt", "eta", "phi"))(jet[None], mask)
    turned = (*momenta[:2], momenta[2] + 2.5)
    assert network.pair_bias is not None
    found = network.pair_bias(turned, mask)
    torch.testing.assert_close(found, network.pair_bias(momenta, mask), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("interactions", (True, False))
def test_no_softmax_of_the_particle_transformer_runs_over_nothing(interactions: bool) -> None:
    """A jet without constituents has a key too: what a softmax over none gives depends on the kernel, often no number."""
    network = ParticleTransformer(INPUTS, 5, 3, interactions=interactions)
    bias = network._bias(torch.zeros(2, 5, 4), torch.arange(5) < torch.tensor([[0], [2]]))
    keys = bias.isfinite() if interactions else bias
    assert keys.any(-1).all()
    assert keys[1].sum(-1).max() == 2


def test_particle_transformer_under_bf16_autocast_stays_close(jet: Tensor, mask: Tensor) -> None:
    network = ParticleTransformer(INPUTS, 5, 3).eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = network(jet[None], mask)
    torch.testing.assert_close(found.float(), network(jet[None], mask), rtol=0.1, atol=0.05)


def test_nearest_are_the_nearest_real_ones() -> None:
    points = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 1.5], [0.1, 0.0]]])
    mask = torch.tensor([[True, True, True, True, False]])
    index, real = nearest(points, mask, 2)
    assert [set(row) for row in index[0, :4].tolist()] == [{2, 3}, {2, 3}, {0, 3}, {2, 0}]
    assert real[0, :4].all()
    assert not real[0, 4].any()
    _, real = nearest(points, torch.tensor([[True, False, True, False, False]]), 3)
    assert real[0].sum(1).tolist() == [1, 0, 1, 0, 0]


def test_edge_conv_neighbour_by_neighbour(jet: Tensor, mask: Tensor) -> None:
    block = with_statistics(EdgeConv(4, (6, 5), neighbours=1))
    x = torch.where(mask[0, :, None], jet, 0.0)
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.1, 0.2], [0.0, 0.1], [0.1, 0.0]])
    found = block(points[None], x[None], mask)[0]
    for i, j in ((0, 1), (1, 2), (2, 1)):
        message = torch.cat([x[i], x[j] - x[i]])[None]
        for layer, norm in zip(block.layers, block.norms, strict=True):
            message = norm(layer(message)).clamp(min=0)
        expected = (block.shortcut_norm(block.shortcut(x[i][None])) + message).clamp(min=0)
        torch.testing.assert_close(found[i], expected[0])
    assert found[REAL:].count_nonzero() == 0


def test_neighbours_are_found_across_the_seam_of_phi() -> None:
    eta, mask = torch.zeros(1, 4), torch.tensor([[False, True, True, True]])
    phi = torch.tensor([[0.0, 3.1, -3.1, 2.5]])
    points = around_the_first(eta, phi, mask)
    torch.testing.assert_close(points[0, :, 1], torch.tensor([0.0, 0.0, 2 * math.pi - 6.2, -0.6]))
    assert nearest(points, mask, 1)[0][0, 1] == 2


def test_particlenet_in_training_norms_real_rows_alone() -> None:
    """Its statistics after one step are those of the same jets without padding."""
    torch.manual_seed(3)
    x, mask = torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    short = ParticleNet(INPUTS, 5, 3, blocks=((8,), (8,)), neighbours=2).train()
    padded = ParticleNet(INPUTS, 9, 3, blocks=((8,), (8,)), neighbours=2).train()
    padded.load_state_dict(short.state_dict())
    short(x, mask)
    padded(nn.functional.pad(x, (0, 0, 0, 4), value=9.0), nn.functional.pad(mask, (0, 4)))
    for (name, expected), found in zip(short.named_buffers(), padded.buffers(), strict=True):
        torch.testing.assert_close(found, expected, msg=name)


def test_linformer_block_sees_real_tokens_alone(mask: Tensor) -> None:
    """Keys and values are those of the class token and the real constituents, each projected to two mixtures."""
    torch.manual_seed(8)
    network = Linformer(preset("150p", features=4, classes=3, constituents=5, embed_dim=8), rank=2).eval()
    block, x = network.blocks[0], torch.randn(6, 8)
    found = block(x[None], nn.functional.pad(mask, (1, 0), value=True))[0]
    real = 1 + REAL
    q, k, v = block.qkv(block.attention_norm(x, None)).chunk(3, -1)
    k = block.project_keys.weight[:, :real] @ k[:real]
    v = block.project_values.weight[:, :real] @ v[:real]
    for i in range(real):
        heads = [
            (q[i, part] @ k[:, part].T / math.sqrt(4)).softmax(0) @ v[:, part]
            for part in (slice(0, 4), slice(4, 8))
        ]
        y = x[i] + block.output(torch.cat(heads))
        hidden = block.expand(nn.functional.silu(block.feedforward_norm(y, None)))
        expected = y + block.contract(nn.functional.silu(block.hidden_norm(hidden, None)))
        torch.testing.assert_close(found[i], expected, rtol=1e-4, atol=1e-5)
