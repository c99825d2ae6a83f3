"""Around the circuit: an AXI4-Stream wrapper, one for VHDL designs, and what Vivado needs to build or package it."""

from __future__ import annotations

from .ports import TOP, Ports

AXIS = f"{TOP}_axis"
FULL_PART = {
    "xcvu13p": "xcvu13p-flga2577-2-e",
    "xcvu9p": "xcvu9p-flga2104-2-e",
    "xczu7ev": "xczu7ev-ffvc1156-2-e",
    "xcku5p": "xcku5p-ffvb676-2-e",
}


def full_part(part: str) -> str:
    """The name with package and speed grade, as the vendor's tools ask for it; other names stay as they are."""
    return FULL_PART.get(part, part)


def stream_widths(ports: Ports) -> tuple[int, int]:
    """Bits of the streams in and out: whole bytes, as AXI4-Stream wants them."""
    inside = ports.features.width + ports.mask.width
    return (inside + 7) // 8 * 8, (ports.answers.width + 7) // 8 * 8


def axis(ports: Ports, latency_cycles: int) -> str:
    """One transfer is one jet: features in the lowest bits, the mask above them; logits out, in the order of the jets.

    The circuit itself never waits, so a jet is taken only while a place in the queue of answers is free for it: nothing is
    lost however long the receiver waits, and a receiver that is always ready gets one jet in every cycle.
    """
    into, out = stream_widths(ports)
    features, mask, logits = ports.features.width, ports.mask.width, ports.answers.width
    address = max((latency_cycles + 2 - 1).bit_length(), 1)
    depth = 1 << address
    padding = f"{{{out - logits}'d0, queue[head]}}" if out > logits else "queue[head]"
    return f"""// {AXIS}: {TOP} with AXI4-Stream on both sides; one transfer is one jet. See ports.md.
`timescale 1ns / 1ps

module {AXIS} (
    input wire aclk,
    input wire aresetn,
    // verilator lint_off UNUSEDSIGNAL
    input wire [{into - 1}:0] s_axis_tdata,
    // verilator lint_on UNUSEDSIGNAL
    input wire s_axis_tvalid,
    output wire s_axis_tready,
    output wire [{out - 1}:0] m_axis_tdata,
    output wire m_axis_tvalid,
    input wire m_axis_tready
);
    // answers that wait, and places that no jet on its way has claimed
    reg [{logits - 1}:0] queue [0:{depth - 1}];
    reg [{address - 1}:0] head, tail;
    reg [{address}:0] waiting, free;
    wire [{logits - 1}:0] logits;
    wire done;
    wire taken = s_axis_tvalid & s_axis_tready;
    wire given = m_axis_tvalid & m_axis_tready;
    assign s_axis_tready = free != 0;
    assign m_axis_tvalid = waiting != 0;
    assign m_axis_tdata = {padding};

    {TOP} circuit (
        .clk(aclk),
        .rst(!aresetn),
        .valid_in(taken),
        .features(s_axis_tdata[{features - 1}:0]),
        .mask(s_axis_tdata[{features + mask - 1}:{features}]),
        .valid_out(done),
        .{ports.answers.name}(logits)
    );

    always @(posedge aclk) begin
        if (!aresetn) begin
            head <= 0;
            tail <= 0;
            waiting <= 0;
            free <= {address + 1}'d{depth};
        end else begin
            if (done) begin
                queue[tail] <= logits;
                tail <= tail + 1'b1;
            end
            if (given) head <= head + 1'b1;
            waiting <= waiting + {{{address}'d0, done}} - {{{address}'d0, given}};
            free <= free + {{{address}'d0, given}} - {{{address}'d0, taken}};
        end
    end
endmodule
"""


def vhdl(ports: Ports, latency_cycles: int) -> str:
    """An entity with the ports of the top level, for designs in VHDL."""
    inner = [
        ("clk", "in", 0),
        ("rst", "in", 0),
        ("valid_in", "in", 0),
        ("features", "in", ports.features.width),
    ]
    inner += [
        ("mask", "in", ports.mask.width),
        ("valid_out", "out", 0),
        (ports.answers.name, "out", ports.answers.width),
    ]
    lines = ";\n".join(
        f"            {name} : {direction} "
        + (f"std_logic_vector({width - 1} downto 0)" if width else "std_logic")
        for name, direction, width in inner
    )
    outer = lines.replace("            ", "        ")
    connections = ", ".join(f"{name} => {name}" for name, _, _ in inner)
    return f"""-- {TOP}_vhdl: {TOP} for designs in VHDL; answers leave {latency_cycles} cycles after their jet. See ports.md.
library ieee;
use ieee.std_logic_1164.all;

entity {TOP}_vhdl is
    port (
{outer}
    );
end entity;

architecture wrapper of {TOP}_vhdl is
    component {TOP}
        port (
{lines}
        );
    end component;
begin
    circuit : {TOP} port map ({connections});
end architecture;
"""


def constraints(clock_mhz: float) -> str:
    """The clock that the latency in ns assumes."""
    return f"create_clock -period {1000 / clock_mhz:.4f} -name clk [get_ports clk]\n"


def vivado_build(part: str) -> str:
    """Out of context: synthesis, placement and routing of the circuit alone, with reports in `vivado/reports`."""
    return f"""# vivado -mode batch -source build.tcl
# Out-of-context synthesis, placement and routing; reports in ./reports. Run in this folder.
set_part {full_part(part)}
file mkdir reports
read_verilog [glob ../verilog/*.v]
read_xdc -mode out_of_context constraints.xdc
synth_design -top {TOP} -mode out_of_context
report_utilization -file reports/synthesis_utilization.txt
opt_design
place_design
phys_opt_design
route_design
report_utilization -file reports/utilization.txt
report_timing_summary -file reports/timing.txt
write_checkpoint -force {TOP}.dcp
"""


def vivado_package(part: str) -> str:
    """An IP with AXI4-Stream ports, for block designs."""
    return f"""# vivado -mode batch -source package_ip.tcl
# Packages {AXIS} as an IP in ../ip: two AXI4-Stream interfaces (s_axis, m_axis), clock aclk, reset aresetn.
create_project -in_memory -part {full_part(part)}
add_files [glob ../verilog/*.v]
set_property top {AXIS} [current_fileset]
update_compile_order -fileset sources_1
ipx::package_project -root_dir ../ip -vendor jetformer -library user -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name {AXIS} $core
set_property display_name "JetFormer jet tagger" $core
ipx::associate_bus_interfaces -busif s_axis -clock aclk $core
ipx::associate_bus_interfaces -busif m_axis -clock aclk $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::save_core $core
"""
