// What the test benches share: how a port of a Verilated circuit is set and read in 32-bit words, lowest bits first.

#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

double sc_time_stamp() { return 0; }

// Verilator holds a port in an integer of up to 64 bits, a wider one in an array of 32-bit words.
template <typename Port> constexpr std::size_t words() { return (sizeof(Port) + 3) / 4; }

template <typename Port> void put(Port& port, const std::uint32_t* row) {
    if constexpr (std::is_integral_v<Port>) {
        std::uint64_t value = row[0];
        if constexpr (sizeof(Port) > 4) value |= std::uint64_t(row[1]) << 32;
        port = Port(value);
    } else {
        for (std::size_t n = 0; n < words<Port>(); ++n) port[n] = row[n];
    }
}

template <typename Port> void take(const Port& port, std::uint32_t* row) {
    if constexpr (std::is_integral_v<Port>) {
        row[0] = std::uint32_t(port);
        if constexpr (sizeof(Port) > 4) row[1] = std::uint32_t(std::uint64_t(port) >> 32);
    } else {
        for (std::size_t n = 0; n < words<Port>(); ++n) row[n] = port[n];
    }
}
