// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/testing/choices.hpp: where a test takes its decisions from.
// Owns: a stream of numbers below given bounds: random, all combinations in turn, or from bytes.
// Invariant: the same seed and index give the same numbers with every compiler and library, so
//   `seed:index` names a run. The same test body runs at random, exhaustively, or under a fuzzer.
// Source: splitmix64 by Sebastiano Vigna; the odometer is the idea of Graydon Hoare's
// "exhaustigen".

#include <coppice/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace coppice::testing {

/// Mixes a number well: splitmix64.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t z) noexcept {
    z += 0x9E37'79B9'7F4A'7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D0'49BB'1331'11EBU;
    return z ^ (z >> 31U);
}

/// A stream of decisions. Belongs to one thread.
class choices {
  public:
    /// Random decisions. `next` goes on to the following index.
    [[nodiscard]] static choices random(std::uint64_t seed, std::uint64_t index = 0) noexcept {
        choices made;
        made.seed_ = seed;
        made.index_ = index;
        made.restart();
        return made;
    }
    /// Every combination of decisions, one after the other: `do { ... } while (pick.next());`
    [[nodiscard]] static choices all() noexcept {
        choices made;
        made.exhaustive_ = true;
        return made;
    }
    /// Decisions that a fuzzer takes: each uses as many bytes as its bound needs. When they are
    /// used up, all is 0.
    [[nodiscard]] static choices of(bytes input) {
        choices made;
        made.fed_ = true;
        made.input_.assign(input.begin(), input.end());
        return made;
    }

    [[nodiscard]] bool exhaustive() const noexcept { return exhaustive_; }

    /// A number below `bound`. REQUIRES: bound > 0
    /// @throws std::logic_error if all combinations are wanted of a body that does not ask the same
    ///   questions after the same answers
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
        if (fed_) return from_input(bound);
        if (!exhaustive_) {
            state_ += 0x9E37'79B9'7F4A'7C15U;
            // The same as the remainder, which takes a division: bytes are torn by many flips.
            bool const is_power_of_two = (bound & (bound - 1)) == 0;
            return is_power_of_two ? mixed(state_) & (bound - 1) : mixed(state_) % bound;
        }
        if (position_ == digits_.size()) digits_.push_back({0, bound});
        if (digits_[position_].bound != bound) {
            throw std::logic_error("the same choices led to another question");
        }
        return digits_[position_++].value;
    }
    [[nodiscard]] bool flip() { return below(2) != 0; }
    /// Are there bytes left? Decisions that are not made of bytes never end.
    [[nodiscard]] bool more() const noexcept { return !fed_ || position_ < input_.size(); }

    /// Goes on to the next combination, or the next index.
    /// @return false when all combinations were had; random choices never end, bytes are one run
    bool next() {
        if (fed_) return false;
        if (!exhaustive_) {
            ++index_;
            restart();
            return true;
        }
        position_ = 0;
        while (!digits_.empty() && digits_.back().value + 1 == digits_.back().bound) {
            digits_.pop_back();
        }
        if (digits_.empty()) return false;
        ++digits_.back().value;
        return true;
    }

    /// What names this run: `seed:index`, or the digits of the combination; bytes have no name.
    [[nodiscard]] std::string name() const {
        if (fed_) return std::to_string(input_.size()) + " bytes";
        if (!exhaustive_) return std::to_string(seed_) + ":" + std::to_string(index_);
        std::string text = "combination";
        for (auto const& each : digits_) text += " " + std::to_string(each.value);
        return text;
    }

  private:
    struct digit {
        std::uint64_t value;
        std::uint64_t bound;
    };

    choices() = default;

    std::uint64_t from_input(std::uint64_t bound) noexcept {
        std::uint64_t number = 0;
        for (auto room = bound - 1; room != 0; room >>= 8U) {
            number <<= 8U;
            if (more()) number |= std::to_integer<std::uint64_t>(input_[position_++]);
        }
        return number % bound;
    }
    void restart() noexcept { state_ = mixed(seed_ ^ mixed(index_)); }

    bool exhaustive_ = false;
    bool fed_ = false;
    std::uint64_t seed_ = 0;
    std::uint64_t index_ = 0;
    std::uint64_t state_ = 0;
    std::size_t position_ = 0;
    std::vector<digit> digits_;
    std::vector<std::byte> input_;
};

} // namespace coppice::testing
