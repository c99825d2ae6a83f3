"""Every tagger of the registry keeps the contract of taggers."""

from typing import ClassVar

from jetformer_model.taggers import TAGGERS
from jetformer_model.testing import TaggerContract


class TestJetFormer(TaggerContract):
    name = "jetformer"


class TestJetFormerTiny(TaggerContract):
    name = "jetformer-tiny"


class TestJetFormerLarge(TaggerContract):
    name = "jetformer-large"
    sizes: ClassVar = {"blocks": 2, "embed_dim": 16}


class TestLinformer(TaggerContract):
    name = "jetformer-linformer"


class TestLinformerWithBatchNorm(TaggerContract):
    name = "jetformer-linformer"
    sizes: ClassVar = {"preset": "tiny", "rank": 3}


class TestParticleMLP(TaggerContract):
    name = "mlp"


class TestTinyParticleMLP(TaggerContract):
    name = "mlp-tiny"


class TestDeepSets(TaggerContract):
    name = "deep-sets"


class TestInteractionNetwork(TaggerContract):
    name = "interaction-network"


class TestJediNet(TaggerContract):
    name = "jedi-net"


class TestJediNetWithSum(TaggerContract):
    name = "jedi-net-sum"


class TestJediLinear(TaggerContract):
    name = "jedi-linear"


class TestMLPMixer(TaggerContract):
    name = "mlp-mixer"


class TestParticleNet(TaggerContract):
    name = "particlenet"


class TestParticleNetThatChoosesNeighbours(TaggerContract):
    name = "particlenet"
    sizes: ClassVar = {"neighbours": 3, "blocks": ((8, 8), (16, 16)), "hidden": 12}


class TestParticleTransformer(TaggerContract):
    name = "particle-transformer"


class TestParticleTransformerOnAllPairs(TaggerContract):
    """As published: in training its norms see padding."""

    name = "particle-transformer"
    sizes: ClassVar = {"pairs": "all", "blocks": 2}
    test_padding_changes_nothing_in_training = None  # type: ignore[assignment]


class TestPlainParticleTransformer(TaggerContract):
    name = "particle-transformer-plain"


def test_no_tagger_is_left_out() -> None:
    assert {contract.name for contract in TaggerContract.__subclasses__()} == set(TAGGERS)
