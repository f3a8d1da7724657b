// SPDX-License-Identifier: BSL-1.0
#include <coppice/transaction/value_writer.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <sparse_medium.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace coppice;
using proving::in_file;
using proving::in_memory;
using proving::noise;
using proving::test_database;
using support::kind_of;

namespace {

constexpr std::size_t mib = std::size_t{1} << 20U;

/// Streams a value in pieces of some size.
template <typename Transaction>
void stream(Transaction& txn, std::string_view key, std::string_view value, std::size_t piece) {
    auto to = txn.put_stream(key, value.size());
    while (!value.empty()) {
        to.write(value.substr(0, piece));
        value.remove_prefix(std::min(piece, value.size()));
    }
    to.finish();
}

} // namespace

TEMPLATE_TEST_CASE("a streamed value is the value that put would have made", "", in_file,
                   in_memory) {
    auto chosen = proving::tiny();
    chosen.nodes.patches = false; // else the bytes tell of how often something was written
    test_database<TestType> streamed(chosen);
    test_database<TestType> put(chosen);
    for (auto const size : {std::size_t{0}, std::size_t{1}, std::size_t{32}, std::size_t{33},
                            std::size_t{1000}, mib - 1, mib, mib + 1, 5 * mib}) {
        auto const key = std::to_string(size);
        auto const value = noise(size, size);
        for (auto const piece : {std::size_t{70'001}, mib, 8 * mib}) {
            streamed->update([&](auto& txn) { stream(txn, key, value, piece); });
            auto const now = streamed->read();
            CHECK(now.value_bytes(key) == size);
            CHECK((now.get(key) == value));
        }
        put->update([&](auto& txn) { txn.put(key, value); });
    }
    CHECK(streamed->stats().live_bytes == put->stats().live_bytes);
    streamed.reopen();
    CHECK((streamed->get(std::to_string(5 * mib)) == noise(5 * mib, 5 * mib)));
}

TEMPLATE_TEST_CASE("until its finish a stream changes nothing, abandoned it leaves nothing", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    on->update([](auto& txn) { txn.put("a", "old"); });
    auto txn = on->write();
    {
        auto abandoned = txn.put_stream("a", 100);
        abandoned.write("some of it");
        CHECK(txn.get("a") == "old");
        CHECK(kind_of([&] { txn.commit(); }) == errc::stream_unfinished);
        CHECK(kind_of([&] { abandoned.finish(); }) == errc::stream_unfinished);
        CHECK(txn.is_open());
    }
    CHECK(txn.get("a") == "old");
    stream(txn, "b", "new", 2);
    CHECK(txn.get("b") == "new");
    CHECK(on->read().size() == 1);
    txn.commit();
    CHECK(on->get("a") == "old");
    CHECK(on->get("b") == "new");
}

TEMPLATE_TEST_CASE("two streams and other changes may go on at once", "", in_file, in_memory) {
    test_database<TestType> on;
    auto const first = noise(2 * mib + 17, 1);
    auto const second = noise(3 * mib, 2);
    auto txn = on->write();
    auto to_first = txn.put_stream("first", first.size());
    auto to_second = txn.put_stream("second", second.size());
    std::size_t done = 0;
    for (std::size_t at = 0; at < second.size(); at += 300'000) {
        to_second.write(std::string_view(second).substr(at, 300'000));
        to_first.write(std::string_view(first).substr(std::min(at, first.size()), 300'000));
        txn.put(proving::numbered("k", done), noise(300));
        if (++done == 4) {
            txn.load(proving::numbered_entries(50, "loaded"));
            CHECK(txn.view().size() == 54);
        }
    }
    to_second.finish();
    CHECK((txn.get("second") == second));
    to_first.finish();
    auto moved = std::move(txn); // the handle moves, streams stay good
    auto to_third = moved.put_stream("third", 3);
    auto again = std::move(moved);
    to_third.write("abc");
    to_third.finish();
    CHECK(again.size() == done + 53);
    again.commit();
    CHECK((on->get("first") == first));
    CHECK((on->get("second") == second));
    CHECK(on->read().size() == done + 53);
}

TEMPLATE_TEST_CASE("more than was announced is refused, and nothing at all after the end", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto txn = on->write();
    auto to = txn.put_stream("a", 10);
    to.write("123456");
    CHECK(kind_of([&] { to.write("78901"); }) == errc::invalid_argument);
    auto moved = std::move(to);
    CHECK(kind_of([&] { to.write("7"); }) == errc::finished); // NOLINT
    moved.write("7890");
    CHECK(kind_of([&] { moved.write("x"); }) == errc::invalid_argument);
    moved.write("");
    moved.finish();
    CHECK(kind_of([&] { moved.finish(); }) == errc::finished);
    CHECK(kind_of([&] { moved.write(""); }) == errc::finished);
    CHECK(txn.get("a") == "1234567890");
    auto late = txn.put_stream("b", 1);
    txn.rollback();
    CHECK(kind_of([&] { late.write("x"); }) == errc::finished);
    CHECK(kind_of([&] { late.finish(); }) == errc::finished);
}

TEMPLATE_TEST_CASE("a stream outlives its transaction without harm", "", in_file, in_memory) {
    test_database<TestType> on;
    using writer = typename test_database<TestType>::transaction::value_writer;
    std::optional<writer> kept;
    {
        auto txn = on->write();
        kept.emplace(txn.put_stream("a", 3));
        kept->write("1");
    }
    CHECK(kind_of([&] { kept->write("2"); }) == errc::finished);
    kept.reset();
    CHECK(on->read().empty());
    CHECK(on->try_write().has_value());
}

TEMPLATE_TEST_CASE("keys and lengths beyond the limits are refused before anything is written", "",
                   in_file, in_memory) {
    test_database<TestType> on;
    auto const before = on->stats().file_bytes;
    auto txn = on->write();
    CHECK(kind_of([&] { static_cast<void>(txn.put_stream(std::string(65536, 'k'), 1)); }) ==
          errc::key_too_large);
    CHECK(kind_of([&] { static_cast<void>(txn.put_stream("k", max_value_bytes + 1)); }) ==
          errc::value_too_large);
    CHECK(kind_of([&] { static_cast<void>(txn.put_stream("k", max_value_bytes)); }) ==
          errc::value_too_large); // it does not fit behind what the file holds
    CHECK(txn.is_open());
    txn.rollback();
    CHECK(on->stats().file_bytes == before);
}

TEMPLATE_TEST_CASE("a savepoint takes back a stream that was finished, and can be followed by more",
                   "", in_file, in_memory) {
    test_database<TestType> on;
    auto txn = on->write();
    stream(txn, "a", noise(5000, 1), 1000);
    auto const point = txn.savepoint();
    stream(txn, "a", noise(5000, 2), 1000);
    stream(txn, "b", noise(2 * mib, 3), mib);
    CHECK((txn.get("a") == noise(5000, 2)));
    txn.rollback_to(point);
    CHECK((txn.get("a") == noise(5000, 1)));
    CHECK_FALSE(txn.contains("b"));
    stream(txn, "c", noise(70, 4), 1000);
    txn.commit();
    CHECK((on->get("a") == noise(5000, 1)));
    CHECK(on->read().size() == 2);
}

// `finish` noted the checksum of the last bytes and forgot them. Called again, after a failure, it
// noted that of nothing instead: the commit succeeded, and the value could never be read.
TEST_CASE("a stream whose finish has failed can be finished again") {
    for (std::uint64_t const size : {(1U << 20U) + 5U, 2U << 20U, 70'000U}) {
        faulty::medium medium;
        basic_database<faulty::medium> db(medium, options{});
        auto const value = proving::noise(static_cast<std::size_t>(size));
        auto txn = db.write();
        auto stream = txn.put_stream("s", size);
        stream.write(value);
        auto const fails = size > (1U << 20U);
        if (fails) medium.told().fail_after(faulty::call::write, 0);
        CHECK((kind_of([&] { stream.finish(); }) == errc::io_failed) == fails);
        if (fails) stream.finish();
        txn.commit();
        CHECK(db.get("s") == value);
        CHECK(db.check().clean());
    }
}

TEST_CASE("a value of 2^33 bytes goes through a stream and is read in parts", "[large]") {
    workbench::folder const dir;
    constexpr std::uint64_t length = (std::uint64_t{1} << 33U) + 5;
    auto const open = [&] { return basic_database<sparse::medium>(dir / "large.db", options{}); };
    open().update([](auto& txn) {
        auto to = txn.put_stream("large", length);
        std::string const zeros(8 * mib, '\0');
        for (auto left = length - 5; left > 0; left -= zeros.size()) to.write(zeros);
        to.write("ended");
        to.finish();
        txn.put("small", "beside it");
    });
    auto const db = open();
    auto const now = db.read();
    CHECK(now.value_bytes("large") == length);
    CHECK(now.get("small") == "beside it");
    std::array<std::byte, 16> part{};
    for (auto const offset : {std::uint64_t{0}, std::uint64_t{1} << 31U, std::uint64_t{1} << 32U}) {
        CHECK(now.read("large", offset, part) == 16U);
        CHECK(as_text(part) == std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
    }
    CHECK(now.read("large", length - 5, part) == 5U);
    CHECK(as_text(bytes(part).first(5)) == "ended");
    CHECK(db.stats().live_bytes > length);
}
