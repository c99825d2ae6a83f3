"""The taggers by name: how each is built, where it comes from, what it claims, what was published of its size.

tagger = build("particlenet", inputs, constituents=32, classes=5)
logits = tagger(x, mask)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from jetformer_model.config import preset
from jetformer_model.errors import ModelError
from jetformer_model.inputs import Inputs
from jetformer_model.network import JetFormer
from jetformer_model.taggers.deep_sets import DeepSets
from jetformer_model.taggers.interaction_network import InteractionNetwork, jedi_sizes, odagiu_sizes
from jetformer_model.taggers.jedi_linear import JediLinear
from jetformer_model.taggers.linformer import Linformer
from jetformer_model.taggers.mlp_mixer import MLPMixer
from jetformer_model.taggers.particle_mlp import ParticleMLP
from jetformer_model.taggers.particle_transformer import ParticleTransformer
from jetformer_model.taggers.particlenet import ParticleNet
from jetformer_model.taggers.tagger import Tagger
from jetformer_model.taggers.trigger_jetformer import TriggerJetFormer

Claim = Literal["padding", "order"]
PADDING: frozenset[Claim] = frozenset({"padding"})
SET: frozenset[Claim] = frozenset({"padding", "order"})


@dataclass(frozen=True)
class Published:
    """One published size. `parameters` and `flops` as printed: "33,625", "2.14M"; None where none was given.

    ours: what stands here instead, where the published number cannot be met; the tagger's module says why
    """

    constituents: int
    features: int
    classes: int
    parameters: str | None = None
    flops: str | None = None
    sizes: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TaggerSpec:
    """One tagger.

    builder: (inputs, constituents, classes, **sizes) -> network; sizes not given are the published ones
    source: arXiv identifier
    claims: "padding": what stands in padding, and how much padding there is, changes nothing; "order": nor does the
        order of constituents
    needs: quantities that the features must give, see `kinematics.NAMES`
    constituents: P where nobody asks for another
    options: sizes that `jetformer-model train` has options for
    """

    name: str
    builder: Callable[..., Tagger | JetFormer]
    source: str
    claims: frozenset[Claim]
    needs: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    constituents: int = 32
    options: frozenset[str] = frozenset()

    def build(self, inputs: Inputs, *, constituents: int, classes: int, **sizes: Any) -> Tagger | JetFormer:
        """A new network with random weights; PyTorch's global generator draws them."""
        network = self.builder(inputs, constituents, classes, **sizes)
        if isinstance(network, Tagger):
            network.name, network.sizes = self.name, sizes
        return network


def build(name: str, inputs: Inputs, *, constituents: int, classes: int, **sizes: Any) -> Tagger | JetFormer:
    """The tagger `name` for these inputs, in its published form; `sizes` change single sizes.

    Raises ModelError for a name that is not in TAGGERS, or if the inputs lack what the tagger needs.
    """
    if name not in TAGGERS:
        raise ModelError(f"tagger {name!r}: expected one of {', '.join(TAGGERS)}")
    return TAGGERS[name].build(inputs, constituents=constituents, classes=classes, **sizes)


def _counted(tagger: type[Tagger], **fixed: Any) -> Callable[..., Tagger]:
    """A builder of a tagger that asks for the number of its features only."""
    return lambda inputs, constituents, classes, **sizes: tagger(
        constituents, len(inputs.features), classes, **(fixed | sizes)
    )


def _particle_transformer(**fixed: Any) -> Callable[..., Tagger]:
    return lambda inputs, constituents, classes, **sizes: ParticleTransformer(
        inputs, constituents, classes, **(fixed | sizes)
    )


def _interaction_network(inputs: Inputs, constituents: int, classes: int, **sizes: Any) -> Tagger:
    return InteractionNetwork(
        constituents, len(inputs.features), classes, **(odagiu_sizes(constituents) | sizes)
    )


def _jedi_net(pooling: str, activations: tuple[str, str, str], **searched: int) -> Callable[..., Tagger]:
    def builder(inputs: Inputs, constituents: int, classes: int, **sizes: Any) -> Tagger:
        chosen = searched | {key: sizes.pop(key) for key in searched if key in sizes}
        fixed: dict[str, Any] = {"pooling": pooling, "activations": activations} | jedi_sizes(**chosen)
        return InteractionNetwork(constituents, len(inputs.features), classes, **(fixed | sizes))

    return builder


def _linformer(inputs: Inputs, constituents: int, classes: int, rank: int = 8, **sizes: Any) -> Tagger:
    name = sizes.pop("preset", "150p")
    shape = preset(name, features=len(inputs.features), classes=classes, constituents=constituents, **sizes)
    return Linformer(shape, rank)


def _trigger(constituents: int, **fixed: Any) -> TaggerSpec:
    """The preset for so many constituents; it can be built for any number."""
    return TaggerSpec(
        f"trigger-{constituents}",
        _counted(TriggerJetFormer, **fixed),
        "2601.17215",
        SET,
        constituents=constituents,
        options=frozenset({"blocks", "embed_dim", "heads", "attention", "queries", "pooling"}),
    )


def _jetformer(name: str) -> Callable[..., JetFormer]:
    return lambda inputs, constituents, classes, **sizes: JetFormer(
        preset(name, features=len(inputs.features), classes=classes, constituents=constituents, **sizes)
    )


def _hls4ml(constituents: int, parameters: str, **more: Any) -> Published:
    """A size for the three-feature sets of the HLS4ML jets."""
    return Published(constituents, 3, 5, parameters, **more)


_SPECS = (
    TaggerSpec("jetformer", _jetformer("150p"), "2601.17215", SET),
    TaggerSpec("jetformer-tiny", _jetformer("tiny"), "2601.17215", SET),
    TaggerSpec("jetformer-large", _jetformer("jetclass"), "2601.17215", SET),
    TaggerSpec(
        "jetformer-linformer",
        _linformer,
        "2510.24784",
        PADDING,
        options=frozenset(
            {"blocks", "embed_dim", "heads", "feedforward_ratio", "dropout", "norm", "activation"}
        ),
    ),
    _trigger(8, embed_dim=24),
    _trigger(16, embed_dim=32),
    _trigger(32, embed_dim=24, head_widths=(64, 32, 16)),
    TaggerSpec(
        "mlp",
        _counted(ParticleMLP),
        "2402.01876",
        PADDING,
        published=(_hls4ml(8, "26,826"), _hls4ml(16, "20,245"), _hls4ml(32, "24,101")),
    ),
    TaggerSpec("mlp-tiny", _counted(ParticleMLP, widths=(64, 32, 32)), "2601.17215", PADDING),
    TaggerSpec(
        "deep-sets",
        _counted(DeepSets),
        "2402.01876",
        SET,
        published=tuple(_hls4ml(number, "3,461") for number in (8, 16, 32)),
    ),
    TaggerSpec(
        "interaction-network",
        _interaction_network,
        "2402.01876",
        SET,
        published=(
            _hls4ml(8, "3,347"),
            _hls4ml(16, "3,347"),
            _hls4ml(32, "7,400", ours={"parameters": 7_202}),
        ),
    ),
    TaggerSpec(
        "jedi-net",
        _jedi_net("places", ("elu", "elu", "elu"), hidden=30, edge=10, node=10),
        "1908.05318",
        PADDING,
        published=(
            Published(100, 16, 5, "33,625", "116M", ours={"flops": 15_612_525}),
            Published(150, 16, 2, "169,906", sizes={"hidden": 64, "edge": 64, "node": 16}),
        ),
    ),
    TaggerSpec(
        "jedi-net-sum",
        _jedi_net("sum", ("selu", "selu", "selu"), hidden=50, edge=14, node=12),
        "1908.05318",
        SET,
        published=(
            Published(150, 16, 5, "8,767", "458M", ours={"parameters": 8_481, "flops": 71_979_475}),
            Published(150, 16, 2, "148,962", sizes={"hidden": 256, "edge": 64, "node": 32}),
        ),
    ),
    TaggerSpec("jedi-linear", _counted(JediLinear), "2508.15468", SET, options=frozenset({"embed_dim"})),
    TaggerSpec("mlp-mixer", _counted(MLPMixer), "2503.03103", PADDING),
    TaggerSpec(
        "particlenet",
        ParticleNet,
        "1902.08570",
        SET,
        needs=("eta", "phi"),
        published=(Published(128, 17, 10, "370k", "540M"), Published(100, 7, 2, "366k")),
    ),
    TaggerSpec(
        "particle-transformer",
        _particle_transformer(),
        "2202.03772",
        SET,
        needs=("pt", "eta", "phi"),
        published=(Published(128, 17, 10, "2.14M", "340M"),),
    ),
    TaggerSpec(
        "particle-transformer-plain",
        _particle_transformer(interactions=False),
        "2202.03772",
        SET,
        published=(Published(128, 17, 10, "2.13M", "260M"),),
    ),
)

TAGGERS: dict[str, TaggerSpec] = {spec.name: spec for spec in _SPECS}
