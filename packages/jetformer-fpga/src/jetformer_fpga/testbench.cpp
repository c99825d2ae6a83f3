// Plays a file of stimuli into the circuit, one row a clock cycle, and writes down what comes out in every cycle.
//
// A row in is 32-bit words, lowest bits first: control (bit 0 rst, bit 1 valid_in), features, mask.
// A row out is: valid_out, the port ANSWERS (a macro). Outputs are read just before the rising edge that ends their cycle.

#include <cstdint>
#include <cstdio>
#include <memory>
#include <type_traits>
#include <vector>

#include "Vjetformer.h"
#include "testbench_ports.hpp"
#include "verilated.h"

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: testbench STIMULI ANSWERS\n");
        return 2;
    }
    std::FILE* stimuli = std::fopen(argv[1], "rb");
    std::FILE* answers = std::fopen(argv[2], "wb");
    if (!stimuli || !answers) {
        std::fprintf(stderr, "testbench: a file can't be opened\n");
        return 2;
    }
    VerilatedContext context;
    auto circuit = std::make_unique<Vjetformer>(&context);
    using Features = std::remove_reference_t<decltype(circuit->features)>;
    using Mask = std::remove_reference_t<decltype(circuit->mask)>;
    using Logits = std::remove_reference_t<decltype(circuit->ANSWERS)>;
    std::vector<std::uint32_t> in(1 + words<Features>() + words<Mask>()), out(1 + words<Logits>());
    while (std::fread(in.data(), 4, in.size(), stimuli) == in.size()) {
        circuit->rst = in[0] & 1;
        circuit->valid_in = (in[0] >> 1) & 1;
        put(circuit->features, &in[1]);
        put(circuit->mask, &in[1 + words<Features>()]);
        circuit->clk = 0;
        circuit->eval();
        out[0] = circuit->valid_out;
        take(circuit->ANSWERS, &out[1]);
        std::fwrite(out.data(), 4, out.size(), answers);
        circuit->clk = 1;
        circuit->eval();
    }
    circuit->final();
    std::fclose(stimuli);
    return std::fclose(answers);
}
