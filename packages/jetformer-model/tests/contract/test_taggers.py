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


class TestTrigger8(TaggerContract):
    name = "trigger-8"


class TestTrigger16(TaggerContract):
    name = "trigger-16"


class TestTrigger32(TaggerContract):
    name = "trigger-32"


class TestTriggerWithSoftmaxOfTheClassToken(TaggerContract):
    name = "trigger-8"
    sizes: ClassVar = {"attention": "softmax", "queries": "class_token", "pooling": "class_token"}


class TestTriggerWithReluAttentionOfConstituents(TaggerContract):
    name = "trigger-8"
    sizes: ClassVar = {
        "attention": "relu",
        "queries": "constituents",
        "pooling": "mean",
        "blocks": 2,
        "heads": 1,
    }


class TestTriggerWithLinearAttentionOfConstituents(TaggerContract):
    name = "trigger-8"
    sizes: ClassVar = {
        "attention": "linear",
        "queries": "constituents",
        "pooling": "class_token",
    }


class TestTriggerWithLinformer(TaggerContract):
    """Mixtures of constituents depend on their places."""

    name = "trigger-8"
    sizes: ClassVar = {"attention": "linformer", "queries": "constituents", "pooling": "sum"}

    def claims(self, claim: str) -> bool:
        return claim == "padding"


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
