"""What pruning will do, for people before it is done."""

from __future__ import annotations

import dataclasses
import json

from rich.console import Console
from rich.table import Table

from jetformer_compress.pruning_plan import Pruning
from jetformer_model.config import Architecture
from jetformer_model.flops import flops, parameters


def plan_table(before: Architecture, after: Architecture, how: Pruning) -> Table:
    """A line for each block, FLOPs and parameters below."""
    table = Table("", "q, k, v", "heads", "hidden", title=f"Plan: ratio {how.ratio:.4g} in {how.steps} steps")
    attention = zip(before.attention_dims, after.attention_dims, strict=True)
    hidden = zip(before.feedforward_dims, after.feedforward_dims, strict=True)
    for number, ((a, a_left), (m, m_left)) in enumerate(zip(attention, hidden, strict=True)):
        heads = f"{before.heads} x {a // before.heads} -> {after.heads} x {a_left // after.heads}"
        table.add_row(f"block {number}", f"{a} -> {a_left}", heads, f"{m} -> {m_left}")
    table.add_section()
    if before.embed_dim != after.embed_dim:
        table.add_row("residual", f"{before.embed_dim} -> {after.embed_dim}")
    table.add_row("FLOPs", f"{flops(before):,} -> {flops(after):,}")
    table.add_row("parameters", f"{parameters(before):,} -> {parameters(after):,}")
    return table


def show_plan(before: Architecture, after: Architecture, how: Pruning, as_json: bool) -> None:
    """Print the plan as a table, or as JSON."""
    if not as_json:
        Console().print(plan_table(before, after, how))
        return
    found = {
        name: {"flops": flops(one), "parameters": parameters(one), **one.to_dict()}
        for name, one in (("before", before), ("after", after))
    }
    print(json.dumps({"pruning": dataclasses.asdict(how), **found}, indent=2))
