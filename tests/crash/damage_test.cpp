// SPDX-License-Identifier: BSL-1.0
// A small file of every kind of part, damaged in every way that a disk damages files: single bits,
// whole bytes, cut short, blocks exchanged, blocks that fell back to what they were before. The
// file answers as it did, or says that it is damaged. What the newest commit relies on is always
// noticed.

#include <catch2/catch.hpp>
#include <damaged_file.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

namespace {

using damaged::answer;
namespace format = coppice::format;
using damaged::patient;

damaged::sample small() { return damaged::make_sample(60, {224, 160, 48}); }

/// Which bytes the newest commit relies on.
std::vector<bool> reachable_bytes(forged::file_bytes const& file) {
    std::vector<bool> result(file.size(), false);
    for (auto const& each : forged::reachable(file)) {
        for (auto i = each.offset; i < each.offset + each.size; ++i) result[i] = true;
    }
    return result;
}

/// How often which answer was given.
struct tally {
    std::array<std::size_t, 4> answers{};
    std::size_t unnoticed = 0; // in reachable bytes
    std::size_t wrong = 0;
    std::string first_wrong;

    void ask(patient& file, bool reachable, std::string const& where) {
        try {
            auto const given = file.ask(reachable);
            ++answers[static_cast<std::size_t>(given)];
            if (reachable && (given == answer::same || given == answer::silent)) {
                ++unnoticed;
                first_wrong += "unnoticed: " + where + "\n";
            }
        } catch (std::exception const& e) {
            ++wrong;
            first_wrong += where + ": " + e.what() + "\n";
        }
        if (first_wrong.size() > 2000) first_wrong.resize(2000);
    }
    void print(char const* what) const {
        std::printf(
            "%s: %zu as before, %zu refused, %zu told an older commit, %zu silently older\n", what,
            answers[0], answers[1], answers[2], answers[3]);
    }
};

std::string text_of(std::uint64_t number) { return std::to_string(number); }

void flip_bits(std::uint64_t first, std::uint64_t last, char const* what) {
    workbench::keep_memory();
    patient file(small());
    auto const reached = reachable_bytes(file.origin().file);
    tally all;
    std::size_t counted = 0;
    for (auto at = first; at < std::min(last, file.size()); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            // Opening a file is slow under the sanitizer, and these bits are all alike.
            auto const padding = at < 12288 && !reached[at] && at % 4096 >= 128;
            if (workbench::under_asan && padding && (at + bit) % 61 != 0) continue;
            file.at(at) ^= std::byte{1} << bit;
            all.ask(file, reached[at], "bit " + text_of(bit) + " of byte " + text_of(at));
            file.at(at) ^= std::byte{1} << bit;
            counted += reached[at] ? 1U : 0U;
        }
    }
    all.print(what);
    std::printf("    %zu of these bits are reachable, %zu of them unnoticed\n", counted,
                all.unnoticed);
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::silent)] == 0);
}

/// Does a byte that is reachable differ?
bool is_reached(std::vector<bool> const& reached, forged::file_bytes const& whole,
                forged::file_bytes const& changed) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
        if (reached[i] && whole[i] != changed[i]) return true;
    }
    return false;
}

} // namespace

TEST_CASE("the sample has nodes and patches of each kind, two levels, values out of line") {
    auto const sample = small();
    std::map<std::string, unsigned> parts;
    unsigned highest = 0;
    for (auto const& each : forged::reachable(sample.file)) {
        ++parts[each.what];
        highest = std::max(highest, each.level);
    }
    CHECK(highest >= 2);
    CHECK(parts["leaf"] > 4);
    CHECK(parts["extent"] > 2);
    CHECK(parts["inner"] > 2);
    CHECK(parts["leaf patch"] > 0);
    CHECK(parts["inner patch"] > 0);
    std::printf("the sample: %zu bytes, %u leaves and %u patches, %u inner nodes and %u patches, "
                "%u extents\n",
                sample.file.size(), parts["leaf"], parts["leaf patch"], parts["inner"],
                parts["inner patch"], parts["extent"]);
    CHECK(patient(sample).ask(true) == answer::same);
}

TEST_CASE("every flipped bit of the header block is noticed or harmless") {
    flip_bits(0, 4096, "bits of the header block");
}

TEST_CASE("every flipped bit of the slots is noticed or harmless") {
    flip_bits(4096, 12288, "bits of the slots");
}

TEST_CASE("every flipped bit of the transactions is noticed or harmless") {
    flip_bits(12288, ~std::uint64_t{0}, "bits of the transactions");
}

TEST_CASE("every byte set to 00, FF, 7F or 80, or moved by one, is noticed or harmless") {
    workbench::keep_memory();
    patient file(small());
    auto const reached = reachable_bytes(file.origin().file);
    tally all;
    for (std::uint64_t at = 0; at < file.size(); ++at) {
        auto const padding = at < 12288 && at % 4096 >= 128; // one in eight will do there
        if (padding && at % 8 != 0) continue;
        auto const before = file.at(at);
        auto const is = std::to_integer<int>(before);
        for (auto const value : {0x00, 0xFF, 0x7F, 0x80, (is + 1) % 256, (is + 255) % 256}) {
            if (before == std::byte(value)) continue;
            file.at(at) = std::byte(value);
            all.ask(file, reached[at], "byte " + text_of(at) + " = " + std::to_string(value));
        }
        file.at(at) = before;
    }
    all.print("bytes set");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::silent)] == 0);
}

TEST_CASE("every field set to the values at its bounds is noticed or harmless") {
    workbench::keep_memory();
    patient file(small());
    auto const reached = reachable_bytes(file.origin().file);
    tally all;
    for (std::size_t const width : {2U, 4U, 8U}) {
        auto const largest = ~std::uint64_t{0} >> (64 - 8 * width);
        auto const sign = std::uint64_t{1} << (8 * width - 1);
        for (std::uint64_t at = 0; at + width <= file.size(); at += width) {
            auto const padding = at < 12288 && at % 4096 >= 128; // one in sixteen will do there
            if (padding && at / width % 16 != 0) continue;
            auto const field = std::span(&file.at(at), width);
            std::vector<std::byte> const before(field.begin(), field.end());
            auto const matters =
                std::any_of(reached.begin() + static_cast<std::ptrdiff_t>(at),
                            reached.begin() + static_cast<std::ptrdiff_t>(at + width),
                            [](bool each) { return each; });
            for (auto const value : {std::uint64_t{0}, std::uint64_t{1}, largest, largest - 1, sign,
                                     file.size(), file.size() + 1}) {
                std::array<std::byte, 8> image{};
                format::store(image.data(), value);
                if (std::equal(before.begin(), before.end(), image.begin())) continue;
                std::copy_n(image.begin(), width, field.begin());
                all.ask(file, matters, text_of(width) + " bytes at " + text_of(at));
            }
            std::copy(before.begin(), before.end(), field.begin());
        }
    }
    all.print("fields set");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::silent)] == 0);
}

TEST_CASE("whatever lies behind the end of a file does not matter") {
    workbench::keep_memory();
    patient file(small());
    auto const& whole = file.origin().file;
    tally all;
    for (std::size_t const size : {1U, 7U, 8U, 511U, 512U, 4096U, 100'000U, 1U << 20U}) {
        for (auto const kind : {0, 1, 2}) { // zeros, noise, and the end of the file once more
            auto longer = whole;
            for (std::size_t i = 0; i < size; ++i) {
                auto const noise = static_cast<std::uint8_t>(coppice::testing::mixed(i));
                auto const again = whole[whole.size() - 8192 + i % 8192];
                longer.push_back(kind == 0 ? std::byte{0} : kind == 1 ? std::byte{noise} : again);
            }
            file.become(longer);
            all.ask(file, false, text_of(size) + " bytes behind the end");
        }
    }
    all.print("tails");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::same)] == 24);
}

TEST_CASE("a file cut to any length is refused, or says that it holds an older commit") {
    workbench::keep_memory();
    patient file(small());
    auto const end = forged::load<std::uint64_t>(
        file.origin().file, 4096 * (1 + forged::newest_slot(file.origin().file).value()) + 48);
    tally all;
    for (auto size = file.size(); size-- > 0;) {
        file.cut(size);
        all.ask(file, size < end, "cut to " + text_of(size));
    }
    all.print("lengths");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
}

TEST_CASE("any two exchanged blocks of 512 bytes are noticed, but for those of the slots") {
    // A newest slot that is zero looks like one that a recovery has emptied: an older commit is
    // found, and nobody can tell. Two exchanged slots say what they said.
    workbench::keep_memory();
    patient file(small());
    auto const& whole = file.origin().file;
    auto const reached = reachable_bytes(whole);
    tally all;
    auto const blocks = whole.size() / 512;
    for (std::size_t a = 0; a < blocks; ++a) {
        for (std::size_t b = a + 1; b < blocks; ++b) {
            auto changed = whole;
            auto const first = changed.begin() + static_cast<std::ptrdiff_t>(512 * a);
            auto const second = changed.begin() + static_cast<std::ptrdiff_t>(512 * b);
            std::swap_ranges(first, first + 512, second);
            if (changed == whole) continue;
            file.become(changed);
            auto const matters = is_reached(reached, whole, changed);
            auto const is_slot = a == 8 || a == 16 || b == 8 || b == 16;
            all.ask(file, matters && !is_slot, "blocks " + text_of(a) + " and " + text_of(b));
        }
    }
    all.print("pairs of blocks");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
}

TEST_CASE("a block that falls back to what it was is noticed, but for that of the newest slot") {
    // A lost write of the newest slot alone leaves a file that is sound in itself, one commit back:
    // no checksum can tell. Everything else is named by a checksum somewhere above it.
    workbench::keep_memory();
    crash::scribe by(crash::tiny());
    by.create();
    tally all;
    std::size_t slots = 0;
    std::vector<crash::image> earlier;
    for (unsigned i = 0; i < 24; ++i) {
        by.commit({{"key" + std::to_string(i * 7 % 40), "text " + std::to_string(i)},
                   {"key" + std::to_string(i), std::string(90, 'x')}},
                  i % 3 == 1 ? crash::durability::lazy : crash::durability::sync);
        auto now = by.now();
        auto const& whole = now.files.at(now.database).seen();
        patient file({whole, by.told().states, by.told().states.rbegin()->first});
        auto const reached = reachable_bytes(whole);
        for (auto const& before : earlier) {
            auto old = before.files.at(before.database).seen();
            old.resize(whole.size()); // written ahead with zeros
            for (std::size_t at = 0; at < old.size(); at += 512) {
                auto changed = whole;
                auto const count = std::min<std::size_t>(512, old.size() - at);
                std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(at), count,
                            changed.begin() + static_cast<std::ptrdiff_t>(at));
                if (changed == whole) continue;
                file.become(changed);
                auto const is_slot = at == 4096 || at == 8192;
                slots += is_slot ? 1U : 0U;
                all.ask(file, !is_slot && is_reached(reached, whole, changed),
                        "block at " + text_of(at));
            }
        }
        earlier.push_back(std::move(now));
    }
    all.print("stale blocks");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::silent)] <= slots);
}

TEST_CASE("flipped bits in wide nodes are noticed") {
    workbench::keep_memory();
    crash::scribe by([] {
        auto chosen = crash::tiny();
        chosen.nodes = {65536, 65536, 1024};
        return chosen;
    }());
    by.create();
    crash::edits wide;
    for (char c = 'a'; c < 'f'; ++c) {
        for (auto const* const end : {"1", "2"}) {
            wide.emplace_back(std::string(40'000, c) + end, "value");
        }
    }
    by.commit(wide, crash::durability::two_sync); // else opening notices at once
    auto const& now = by.now();
    patient file({now.files.at(1), by.told().states, 2});
    tally all;
    for (auto const& each : forged::reachable(file.origin().file)) {
        if (each.size < format::wide_node_bytes || each.what == "extent") continue;
        for (std::uint64_t i = 0; i < each.size; i += i < 64 ? 1 : 1009) {
            file.at(each.offset + i) ^= std::byte{1} << (i % 8);
            all.ask(file, true, each.what + " " + text_of(i));
            file.at(each.offset + i) ^= std::byte{1} << (i % 8);
        }
    }
    all.print("bits of wide nodes");
    INFO(all.first_wrong);
    CHECK(all.wrong == 0);
    CHECK(all.unnoticed == 0);
    CHECK(all.answers[static_cast<std::size_t>(answer::refused)] > 100);
}
