// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/value_writer.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>

#include <functional>
#include <optional>
#include <string>

using namespace coppice;

namespace {

errc kind_of(std::function<void()> const& call) {
    try {
        call();
    } catch (error const& e) {
        return e.kind();
    }
    return errc{};
}

std::string pattern(std::size_t size) {
    std::string value(size, '\0');
    for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(i * 2654435761U >> 13U);
    return value;
}

} // namespace

TEST_CASE("a streamed value is the value, however it was cut into pieces") {
    constexpr std::size_t mib = std::size_t{1} << 20U;
    for (auto const size : {std::size_t{0}, std::size_t{1}, std::size_t{1024}, std::size_t{1025},
                            mib - 1, mib, mib + 1, 2 * mib, 5 * mib + 3}) {
        for (auto const piece : {std::size_t{7777}, mib, 2 * mib + 1}) {
            memory_database db;
            auto const value = pattern(size);
            auto txn = db.write();
            auto writer = txn.put_stream("v", size);
            for (std::size_t at = 0; at < size; at += piece) {
                writer.write(std::string_view(value).substr(at, piece));
            }
            CHECK_FALSE(txn.contains("v"));
            writer.finish();
            CHECK(txn.get("v") == value);
            txn.put("beside", "b");
            txn.commit();
            auto const now = db.read();
            CHECK(now.get("v") == value);
            CHECK(now.get("beside") == "b");
            CHECK(db.check().clean());
        }
    }
}

TEST_CASE("two streams at once do not disturb each other, and an abandoned one is nothing") {
    memory_database db;
    auto const value = pattern(3'000'000);
    auto txn = db.write();
    auto first = std::optional(txn.put_stream("first", value.size()));
    auto second = txn.put_stream("second", value.size());
    auto third = std::optional(txn.put_stream("third", 10));
    for (std::size_t at = 0; at < value.size(); at += 100'000) {
        first->write(std::string_view(value).substr(at, 100'000));
        second.write(std::string_view(value).substr(at, 100'000));
    }
    first->finish();
    CHECK(kind_of([&] { txn.commit(); }) == errc::stream_unfinished);
    second.finish();
    CHECK(kind_of([&] { txn.commit(); }) == errc::stream_unfinished);
    third.reset();
    auto moved = std::move(txn); // the handle moves, the writer stays good
    moved.commit();
    auto const now = db.read();
    CHECK(now.get("first") == value);
    CHECK(now.get("second") == value);
    CHECK_FALSE(now.contains("third"));
}

TEST_CASE("a stream takes exactly what was announced, and ends with its transaction") {
    memory_database db;
    auto txn = std::optional(db.write());
    auto writer = txn->put_stream("v", 10);
    writer.write("12345");
    CHECK(kind_of([&] { writer.finish(); }) == errc::stream_unfinished);
    CHECK(kind_of([&] { writer.write("678901"); }) == errc::invalid_argument);
    writer.write("67890");
    txn->rollback();
    CHECK(kind_of([&] { writer.finish(); }) == errc::finished);
    txn.reset();
    CHECK(kind_of([&] { writer.write(""); }) == errc::finished);
    CHECK(db.read().empty());
    CHECK(kind_of([&] { static_cast<void>(db.write().put_stream(std::string(65536, 'k'), 1)); }) ==
          errc::key_too_large);
    CHECK(kind_of([&] {
              static_cast<void>(db.write().put_stream("k", std::uint64_t{1} << 47U));
          }) == errc::value_too_large);
}
