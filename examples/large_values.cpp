// SPDX-License-Identifier: BSL-1.0
// A value that is never whole in memory: written in pieces, read in pieces.
#include <coppice/coppice.hpp>

#include <array>
#include <iostream>
#include <string>

int main() {
    coppice::database db{"blobs.db"};
    constexpr std::uint64_t pieces = 64;
    std::string piece(100'000, '.');

    auto txn = db.write();
    auto writer = txn.put_stream("film", pieces * piece.size());
    for (std::uint64_t i = 0; i < pieces; ++i) {
        piece.front() = static_cast<char>('A' + i % 26);
        writer.write(piece);
    }
    writer.finish(); // without this the key stays as it was
    txn.commit();

    auto const now = db.read();
    std::array<std::byte, 4> buffer{};
    auto const got = now.read("film", 3 * piece.size(), buffer); // only the piece it touches
    std::cout << "length " << now.value_bytes("film").value() << ", piece 3 begins with "
              << static_cast<char>(buffer[0]) << '\n';
    return got == buffer.size() && buffer[0] == std::byte{'D'} ? 0 : 1;
}
