"""Write the seeded states tiny.safetensors and fixed_point.safetensors, and jets.safetensors: a few inputs of each and the
logits expected of them.

Run it when the state interface or the network's formula changes on purpose:  python tests/golden/regenerate.py
"""

from pathlib import Path

from safetensors.torch import save_file

from jetformer_model.config import preset
from jetformer_model.state import save
from jetformer_model.testing import example_batch, example_fixed_point_state, example_state

HERE = Path(__file__).parent

if __name__ == "__main__":
    tiny = preset("tiny", features=3, classes=5)
    state = example_state(tiny, seed=20)
    x, mask = example_batch(6, tiny, seed=21)
    save(HERE / "tiny.safetensors", state)
    fixed = example_fixed_point_state(seed=22)
    fixed_x, fixed_mask = example_batch(6, seed=23)
    save(HERE / "fixed_point.safetensors", fixed)
    expected = {
        "inputs": x,
        "mask": mask,
        "logits": state.network(x, mask).detach(),
        "fixed_point.inputs": fixed_x,
        "fixed_point.mask": fixed_mask,
        "fixed_point.logits": fixed.network(fixed_x, fixed_mask).detach().contiguous(),
    }
    save_file(expected, HERE / "jets.safetensors")
