"""Write tests/golden/tiny.safetensors (a seeded state), jets.safetensors (a few inputs) and the logits expected of them.

Run it when the state interface or the network's formula changes on purpose:  python tests/golden/regenerate.py
"""

from pathlib import Path

from safetensors.torch import save_file

from jetformer_model.config import preset
from jetformer_model.state import save
from jetformer_model.testing import example_batch, example_state

HERE = Path(__file__).parent

if __name__ == "__main__":
    tiny = preset("tiny", features=3, classes=5)
    state = example_state(tiny, seed=20)
    x, mask = example_batch(6, tiny, seed=21)
    save(HERE / "tiny.safetensors", state)
    save_file(
        {"inputs": x, "mask": mask, "logits": state.network(x, mask).detach()}, HERE / "jets.safetensors"
    )
