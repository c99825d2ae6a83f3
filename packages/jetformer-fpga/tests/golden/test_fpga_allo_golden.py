"""The text of one small program, so that a change of what is generated can't pass unseen.

After a change that is meant: JETFORMER_WRITE_GOLDEN=1 pytest PATH, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

from jetformer_fpga import state
from jetformer_fpga.allo import program

TEXT = Path(__file__).with_name("allo_small.txt")


def test_the_program_of_a_small_network(small_state: Path) -> None:
    text = program(state.read(small_state)).text
    if os.environ.get("JETFORMER_WRITE_GOLDEN"):
        TEXT.write_text(text)
    assert text == TEXT.read_text()
