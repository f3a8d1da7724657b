// SPDX-License-Identifier: BSL-1.0
#pragma once
// Any bytes as a database file: opening, all reading, check, compaction and a write end with an
// answer or a typed error, and so does salvage, of which what it makes is sound. An input is a byte
// of choices, the used parts of the first three blocks and what follows them; checksums are made to
// hold first, unless the choices say otherwise.

#include <coppice/database.hpp>
#include <coppice/salvage.hpp>
#include <tests/support/forged_file.hpp>
#include <tests/support/hostile_reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fuzz_file_detail {

/// The used bytes of the header and of the two slots, and where they lie in a file.
inline constexpr std::size_t used[3] = {72, 128, 128};
inline constexpr std::size_t least = 1 + 72 + 128 + 128;

/// The file that an input stands for.
inline forged::file_bytes expand(std::uint8_t const* data, std::size_t size) {
    forged::file_bytes file(12288 + size - least);
    auto const bytes = reinterpret_cast<std::byte const*>(data);
    std::size_t from = 1;
    for (std::size_t block = 0; block < 3; ++block) {
        std::copy_n(bytes + from, used[block],
                    file.begin() + static_cast<std::ptrdiff_t>(4096 * block));
        from += used[block];
    }
    std::copy(bytes + from, bytes + size, file.begin() + 12288);
    return file;
}

/// The input that stands for a file.
inline std::vector<std::byte> shrink(forged::file_bytes const& file, std::byte choices) {
    std::vector<std::byte> input{choices};
    for (std::size_t block = 0; block < 3; ++block) {
        auto const first = file.begin() + static_cast<std::ptrdiff_t>(4096 * block);
        input.insert(input.end(), first, first + static_cast<std::ptrdiff_t>(used[block]));
    }
    input.insert(input.end(), file.begin() + 12288, file.end());
    return input;
}

/// A database in memory that consists of these bytes.
inline coppice::storage::memory_medium medium_with(forged::file_bytes const& file) {
    coppice::storage::memory_medium medium;
    auto const fresh = medium.fresh();
    fresh->write(0, file);
    medium.replace(*fresh);
    return medium;
}

/// Saves what can be saved of these bytes.
inline void save(forged::file_bytes const& file, bool unconfirmed) {
    auto from = medium_with(file);
    coppice::storage::memory_medium to;
    auto const report = coppice::store::salvage(*from.open(coppice::storage::access::read_only),
                                                "fuzzed", to, {{}, unconfirmed});
    coppice::options chosen;
    chosen.create = coppice::create::never;
    coppice::memory_database const db(to, std::move(chosen));
    auto const sound =
        db.check().clean() && db.read().size() == report.entries + report.unconfirmed_entries;
    if (!sound) throw std::runtime_error("what was saved is not sound");
}

} // namespace fuzz_file_detail

/// How many shortened forms of an input the replay tries.
inline constexpr std::size_t fuzz_file_cuts = 64;

/// @param data choices (bit 0: leave the checksums alone, bit 1: verify never, bit 2: salvage takes
///   also what nothing vouches for), then the parts
inline int fuzz_file(std::uint8_t const* data, std::size_t size) {
    using namespace fuzz_file_detail;
    if (size < least || size > 100'000) return 0;
    auto file = expand(data, size);
    if ((data[0] & 1U) == 0) {
        std::copy_n(reinterpret_cast<std::byte const*>(coppice::format::file_magic.data()), 16,
                    file.begin());
        forged::fix_checksums(file);
    }
    hostile::tolerate([&] { save(file, (data[0] & 4U) != 0); });
    coppice::options chosen;
    chosen.preallocate_bytes = 0;
    if ((data[0] & 2U) != 0) chosen.verify = coppice::verify::never;
    static_cast<void>(hostile::ask(medium_with(file), std::move(chosen)));
    return 0;
}
