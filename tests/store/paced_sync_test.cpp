// SPDX-License-Identifier: BSL-1.0
#include <coppice/store/paced_sync.hpp>

#include <coppice/storage/file_storage.hpp>
#include <coppice/storage/memory_storage.hpp>
#include <faulty_medium.hpp>
#include <kind_of.hpp>

#include <catch2/catch.hpp>
#include <child_process.hpp>
#include <workbench.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace coppice;

namespace {

/// A storage that takes helpers, or says that it does not, and tells who syncs it.
template <bool Helpers> class told_storage : public storage::memory_storage {
  public:
    static constexpr bool with_helpers = Helpers;

    void sync() {
        auto const here = under_way++;
        if (here != 0) overlapped = true;
        elsewhere = std::this_thread::get_id() != maker;
        while (held) std::this_thread::yield();
        ++syncs;
        --under_way;
        if (fails) throw error(errc::io_failed, "a planned failure");
    }

    std::thread::id maker = std::this_thread::get_id();
    std::atomic<int> syncs = 0;
    std::atomic<int> under_way = 0;
    std::atomic<bool> overlapped = false;
    std::atomic<bool> elsewhere = false;
    std::atomic<bool> held = false;
    std::atomic<bool> fails = false;
};

static_assert(storage::takes_helpers<storage::file_storage>);
static_assert(!storage::takes_helpers<storage::memory_storage>);
static_assert(!storage::takes_helpers<faulty::storage>);

template <typename Storage> void append_piece(Storage& to) {
    std::vector<std::byte> const piece(store::paced_sync<Storage>::piece_bytes);
    to.write(to.size(), piece);
}

} // namespace

TEMPLATE_TEST_CASE("a file that grows is synced once for each piece, and at the end", "",
                   told_storage<true>, told_storage<false>) {
    auto const file = std::make_shared<TestType>();
    {
        store::paced_sync syncs(file);
        syncs.look();
        std::vector<std::byte> const little(100);
        file->write(0, little);
        syncs.look();
        CHECK(file->syncs == 0);
        for (int i = 0; i < 3; ++i) {
            append_piece(*file);
            syncs.look();
            syncs.look();
        }
        syncs.finish();
        CHECK(file->syncs == 4);
    }
    CHECK(file->syncs == 4);
    CHECK_FALSE(file->overlapped);
}

TEST_CASE("a storage that takes helpers is synced beside the writer, one sync at a time") {
    auto const file = std::make_shared<told_storage<true>>();
    file->held = true;
    std::thread opener;
    {
        store::paced_sync syncs(file);
        append_piece(*file);
        syncs.look(); // returns though the sync does not end
        CHECK(file->syncs == 0);
        append_piece(*file);
        opener = std::thread([&] { file->held = false; });
        syncs.look(); // waits for the first
        CHECK(file->syncs >= 1);
        CHECK(file->elsewhere);
    } // waits for the second
    CHECK(file->syncs == 2);
    CHECK(file->under_way == 0);
    CHECK_FALSE(file->overlapped);
    opener.join();
}

TEMPLATE_TEST_CASE("a sync that fails is told to the writer, and none is left when it goes", "",
                   told_storage<true>, told_storage<false>) {
    auto const file = std::make_shared<TestType>();
    file->fails = true;
    auto const in_pieces = [&](bool at_the_end) {
        store::paced_sync syncs(file);
        append_piece(*file);
        syncs.look();
        if (at_the_end) return syncs.finish();
        append_piece(*file);
        syncs.look();
    };
    CHECK(support::kind_of([&] { in_pieces(true); }) == errc::io_failed);
    CHECK(file->syncs == 1); // what has failed is not synced again
    CHECK(support::kind_of([&] { in_pieces(false); }) == errc::io_failed);
    CHECK(file->syncs == 2);
    CHECK(file->under_way == 0);
}

// The sync that is under way is the parent's: a child that a callback had forked waited for it for
// ever, as it left.
TEST_CASE("a fork does not wait for the sync of its parent") {
    if (workbench::skip_forks()) return;
    auto const file = std::make_shared<told_storage<true>>();
    file->held = true;
    std::optional<store::paced_sync<told_storage<true>>> syncs(file);
    append_piece(*file);
    syncs->look();
    while (file->under_way == 0) std::this_thread::yield();
    {
        workbench::child forked([&](workbench::reporter const& to) {
            syncs.reset();
            to.tell(1, 1);
        });
        CHECK(forked.all_reports().size() == 1);
        CHECK(forked.wait() == 0);
    }
    file->held = false;
    syncs.reset();
    CHECK(file->syncs == 1);
}
