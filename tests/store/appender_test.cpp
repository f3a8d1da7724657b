// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/appender.hpp>

#include <faulty_medium.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using namespace coppice;
using proving::noise;
using support::kind_of;

namespace {

struct appender_bench {
    faulty::medium medium;
    std::shared_ptr<faulty::storage> storage = medium.fresh();
    store::appender<faulty::storage> to{*storage, 12288};

    [[nodiscard]] std::string text(std::uint64_t offset, std::size_t size) const {
        std::string read(size, '\0');
        auto const got = storage->read(offset, {reinterpret_cast<std::byte*>(read.data()), size});
        read.resize(got);
        return read;
    }
};

constexpr std::size_t mib = std::size_t{1} << 20U;

} // namespace

TEST_CASE("nothing reaches the file before the flush, and then all of it in one write") {
    appender_bench on;
    CHECK(on.to.end_offset() == 12288);
    auto const node = on.to.allocate_node(64);
    std::fill(node.begin(), node.end(), std::byte{7});
    auto const ref = on.to.seal_node(node);
    CHECK(ref.offset() == 12288);
    CHECK(ref.size_bytes() == 64);
    CHECK(ref.checksum == format::checksum(node));
    on.to.append(as_bytes(std::string_view("abc")));
    CHECK(on.to.end_offset() == 12288 + 64 + 8);
    CHECK(on.to.buffered().size() == 72);
    CHECK_FALSE(on.to.spilled());
    CHECK(on.medium.told().count(faulty::call::write) == 0);
    on.to.flush();
    on.to.flush();
    CHECK(on.medium.told().count(faulty::call::write) == 1);
    CHECK(on.to.flushed_end() == 12288 + 72);
    auto expected = std::string(64, '\x7');
    expected.append("abc\0\0\0\0\0", 8);
    CHECK(on.text(12288, 72) == expected);
}

TEST_CASE("what is taken back is not written, or is written over") {
    appender_bench on;
    auto const kept_end = on.to.end_offset() + 8;
    on.to.append(as_bytes(std::string_view("kept")));
    on.to.append(as_bytes(std::string_view("not this")));
    on.to.take_back(kept_end);
    CHECK(on.to.end_offset() == kept_end);
    on.to.append(as_bytes(std::string_view("but this")));
    on.to.flush();
    CHECK(on.text(12288, 100) == std::string("kept\0\0\0\0but this", 16));
    on.to.append(as_bytes(std::string_view("unwanted")));
    on.to.take_back(on.to.end_offset()); // nothing is behind it
    CHECK(on.to.end_offset() == 12288 + 24);
    on.to.take_back(kept_end);
    CHECK(on.to.end_offset() == kept_end);
    on.to.append(as_bytes(std::string_view("and this")));
    on.to.flush();
    CHECK(on.text(12288, 100) == std::string("kept\0\0\0\0and this", 16));
}

TEST_CASE("a place that was sealed stays the same place when later parts are flushed early") {
    appender_bench on;
    on.to.spill();
    std::vector<format::node_ref> refs;
    for (int i = 0; i < 300; ++i) {
        auto const node = on.to.allocate_node(8192);
        std::fill(node.begin(), node.end(), static_cast<std::byte>(i));
        refs.push_back(on.to.seal_node(node));
    }
    CHECK(on.to.spilled());
    CHECK(on.medium.told().count(faulty::call::write) == 2);
    on.to.flush();
    for (std::size_t i = 0; i < refs.size(); ++i) {
        CHECK(refs[i].offset() == 12288 + i * 8192);
        CHECK(format::checksum(as_bytes(on.text(refs[i].offset(), 8192))) == refs[i].checksum);
    }
}

TEST_CASE("a value up to 1 MiB is itself, a longer one begins with a table of its pieces") {
    for (auto const spilling : {false, true}) {
        for (auto const size : {mib - 1, mib, mib + 1, 3 * mib, 3 * mib + 5}) {
            appender_bench on;
            if (spilling) on.to.spill();
            auto const value = noise(size);
            auto const ref = on.to.add_extent(value);
            on.to.flush();
            CHECK(ref.offset == 12288);
            CHECK(ref.length_bytes == size);
            CHECK(on.to.end_offset() == 12288 + format::extent_stored_bytes(size));
            auto const table = format::extent_table_bytes(size);
            CHECK((on.text(12288 + table, size) == value));
            if (table == 0) {
                CHECK(ref.checksum == format::checksum(as_bytes(value)));
                continue;
            }
            auto const pieces = on.text(12288, table);
            CHECK(ref.checksum == format::extent_table_checksum(size, as_bytes(pieces)));
            auto const last = std::string_view(value).substr((table / 8 - 1) * mib);
            CHECK(format::load<std::uint64_t>(as_bytes(pieces).data() + table - 8) ==
                  format::checksum(as_bytes(last)));
        }
    }
}

TEST_CASE("a reserved place is written later, and what comes next lies behind it") {
    appender_bench on;
    on.to.append(as_bytes(std::string_view("before")));
    auto const at = on.to.reserve(100);
    CHECK(at == 12296);
    on.to.append(as_bytes(std::string_view("behind")));
    on.to.write_reserved(at, as_bytes(noise(100)));
    on.to.flush();
    CHECK(on.text(12288, 8) == std::string("before\0\0", 8));
    CHECK(on.text(at, 100) == noise(100));
    CHECK(on.text(at + 104, 8) == std::string("behind\0\0", 8));
}

TEST_CASE("a flush that failed can be tried again") {
    appender_bench on;
    on.to.append(as_bytes(std::string_view("12345678")));
    on.medium.told().fail_after(faulty::call::write, 0);
    CHECK(kind_of([&] { on.to.flush(); }) == errc::io_failed);
    CHECK(on.to.end_offset() == 12296);
    on.to.flush();
    CHECK(on.text(12288, 8) == "12345678");
}

TEST_CASE("zeros are written behind what is appended and in proportion") {
    appender_bench on;
    on.to.append(as_bytes(std::string_view("12345678")));
    on.to.write_ahead(0);
    CHECK(on.storage->size() <= 12288);
    on.to.write_ahead(100);
    CHECK(on.storage->size() == 12296 + 100);
    on.to.write_ahead(1'000'000); // there is room already
    CHECK(on.storage->size() == 12296 + 100);
    on.to.append(as_bytes(noise(200)));
    on.to.write_ahead(1'000'000);
    CHECK(on.storage->size() == 12496 + std::uint64_t{16} * 4096);
    on.medium.told().fail_after(faulty::call::write, 0);
    on.to.append(as_bytes(noise(100'000)));
    on.to.write_ahead(1'000'000); // it only saves time
    CHECK(on.medium.told().failures == 1);
    on.to.flush();
    CHECK(on.text(12288, 8) == "12345678");
    CHECK(on.storage->size() == 12496 + 100'000);
}

TEST_CASE("what is written ahead of a large file is zeros to its very end, in short writes") {
    appender_bench on;
    on.to.append(as_bytes(noise(1'000'000)));
    on.to.flush();
    auto const end = on.to.end_offset();
    on.to.append(as_bytes(std::string_view("12345678")));
    on.medium.told().begin_anew();
    on.to.write_ahead(200'001); // three whole pieces and a rest
    CHECK(on.storage->size() == end + 8 + 200'001);
    CHECK(on.text(end + 8, 200'001) == std::string(200'001, '\0'));
    CHECK(on.medium.told().log.size() == 4);
    for (auto const& each : on.medium.told().log) CHECK(each.size_bytes <= 65'536);
}

TEST_CASE("a file never passes 2^47 bytes") {
    appender_bench on;
    store::appender<faulty::storage> high(*on.storage, format::max_file_bytes - 4096);
    static_cast<void>(high.allocate_node(1024));
    CHECK(kind_of([&] { static_cast<void>(high.allocate_node(4096)); }) == errc::value_too_large);
    CHECK(kind_of([&] { static_cast<void>(high.reserve(~std::uint64_t{0} - 7)); }) ==
          errc::value_too_large);
    CHECK(kind_of([&] { static_cast<void>(high.reserve(format::max_file_bytes)); }) ==
          errc::value_too_large);
    CHECK(high.end_offset() == format::max_file_bytes - 3072);
}
