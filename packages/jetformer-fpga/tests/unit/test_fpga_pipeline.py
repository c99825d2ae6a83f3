from __future__ import annotations

import re

import numpy as np
import pytest

from jetformer_fpga import fusion, network, ports, state, tracer


@pytest.fixture(scope="module")
def program(odd_state: state.State) -> tracer.CombLogic:
    return tracer.trace(fusion.fuse(network.build(odd_state), 8))


@pytest.mark.parametrize("limit", (3.0, 9.0))
def test_no_stage_is_longer_than_allowed(program: tracer.CombLogic, limit: float) -> None:
    line = tracer.pipeline(program, limit)
    delays = tracer.delays(program)
    arrival: list[float] = []
    for number, op in enumerate(program.ops):
        here = [s for s in op.addr if line.stage[s] == line.stage[number]]
        assert all(line.stage[s] <= line.stage[number] for s in op.addr)
        arrival.append(delays[number] + max((arrival[s] for s in here), default=0.0))
    assert max(arrival) <= limit + 1e-9


def test_a_number_of_stages_can_be_asked_for(program: tracer.CombLogic) -> None:
    assert tracer.pipeline_of(program, 7).stages <= 7
    assert tracer.pipeline_of(program, 1).stages == 1


def test_registers_are_those_of_the_verilog(program: tracer.CombLogic) -> None:
    line = tracer.pipeline(program, 9.0)
    text = "\n".join(tracer.verilog(line, "core").values())
    bits = [
        int(high) + 1 for high in re.findall(r"(?:output reg|^    reg) \[(\d+):0\]", text, flags=re.MULTILINE)
    ]
    assert sum(bits) == line.register_bits + sum(
        int(high) + 1 for high in re.findall(r"output reg \[(\d+):0\] out\)", text)
    )


def test_ports_pack_and_unpack(odd_state: state.State, rng: np.random.Generator) -> None:
    for port in (ports.ports_of(odd_state).features, ports.ports_of(odd_state).answers):
        low = [-k * 2 ** (i + f) for k, i, f in (field.kif for field in port.fields)]
        high = [2 ** (i + f) for _, i, f in (field.kif for field in port.fields)]
        codes = rng.integers(low, high, size=(23, len(low)))
        assert (port.unpack(port.pack(codes)) == codes).all()


def test_the_graph_knows_every_value_it_can_take(odd_state: state.State) -> None:
    for node in network.build(odd_state).nodes():
        assert (node.interval.low <= node.interval.high).all()
        assert node.op in tracer.LOWERINGS
