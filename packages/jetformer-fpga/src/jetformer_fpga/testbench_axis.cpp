// Plays jets through the AXI4-Stream wrapper with a sender and a receiver that pause at random, and writes down what arrives.
//
// usage: testbench JETS ANSWERS CYCLES SENDER RECEIVER; the last two are percentages of cycles in which each is willing.
// A row of JETS is s_axis_tdata in 32-bit words, lowest first; a row of ANSWERS is m_axis_tdata, one for each transfer.
// Exit code 3: the wrapper broke a rule of the protocol (an answer changed or vanished while it waited).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <type_traits>
#include <vector>

#include "Vjetformer_axis.h"
#include "testbench_ports.hpp"
#include "verilated.h"

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    std::FILE* jets = std::fopen(argv[1], "rb");
    std::FILE* answers = std::fopen(argv[2], "wb");
    if (!jets || !answers) return 2;
    const long cycles = std::atol(argv[3]);
    const unsigned sender = std::atoi(argv[4]), receiver = std::atoi(argv[5]);
    std::mt19937 random(1);
    VerilatedContext context;
    auto circuit = std::make_unique<Vjetformer_axis>(&context);
    using In = std::remove_reference_t<decltype(circuit->s_axis_tdata)>;
    using Out = std::remove_reference_t<decltype(circuit->m_axis_tdata)>;
    std::vector<std::uint32_t> in(words<In>()), out(words<Out>()), before(words<Out>());
    bool holds = false, waited = false;
    int broken = 0;
    for (long cycle = 0; cycle < cycles; ++cycle) {
        circuit->aresetn = cycle >= 4;
        if (!holds && cycle >= 4 && random() % 100 < sender) holds = std::fread(in.data(), 4, in.size(), jets) == in.size();
        circuit->s_axis_tvalid = holds;
        put(circuit->s_axis_tdata, in.data());
        circuit->m_axis_tready = random() % 100 < receiver;
        circuit->aclk = 0;
        circuit->eval();
        take(circuit->m_axis_tdata, out.data());
        if (waited && (!circuit->m_axis_tvalid || out != before)) ++broken;
        const bool given = cycle >= 4 && circuit->m_axis_tvalid && circuit->m_axis_tready;
        const bool taken = cycle >= 4 && holds && circuit->s_axis_tready;
        waited = cycle >= 4 && circuit->m_axis_tvalid && !given;
        before = out;
        if (given) std::fwrite(out.data(), 4, out.size(), answers);
        circuit->aclk = 1;
        circuit->eval();
        if (taken) holds = false;
    }
    circuit->final();
    std::fclose(jets);
    return std::fclose(answers) ? 2 : broken ? 3 : 0;
}
