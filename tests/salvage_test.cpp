// SPDX-License-Identifier: BSL-1.0
// Over all kinds of damage: tests/store/salvage_test.cpp.
#include <coppice/salvage.hpp>

#include <coppice/database.hpp>

#include <catch2/catch.hpp>
#include <kind_of.hpp>
#include <test_database.hpp>

#include <filesystem>
#include <string>

TEST_CASE("a database whose slots are gone is saved into another file") {
    workbench::folder const folder;
    auto const path = folder / "broken.db";
    auto const entries = proving::numbered_entries(200);
    {
        coppice::database db(path, proving::tiny());
        db.update([&](auto& t) {
            for (auto const& [key, value] : entries) t.put(key, value);
        });
    }
    auto text = proving::text_of(path);
    text.replace(4096, 8192, 8192, '\0');
    proving::write_text(path, text);
    std::filesystem::remove(path.string() + ".lock");
    CHECK(support::kind_of([&] { coppice::database const db(path); }) == coppice::errc::corrupt);
    std::filesystem::remove(path.string() + ".lock");

    auto const report = coppice::salvage(path, folder / "saved.db");
    CHECK(report.taken.value == 2);
    CHECK(report.lost_ranges.empty());
    CHECK_FALSE(report.slot_holds);
    CHECK_FALSE(report.complete());
    coppice::database db(folder / "saved.db", {.create = coppice::create::never});
    proving::must_hold(db.read(), entries);
    CHECK(db.check().clean());
    db.update([](auto& t) { t.put("and goes", "on"); });

    // Nothing beyond the end of the file is looked at, also where its view is larger.
    auto const all = coppice::salvage(path, folder / "all.db", {.unconfirmed = true});
    CHECK(all.entries == entries.size());
    CHECK(all.unconfirmed_entries == 0);

    // The damaged file is as it was, and nothing was put beside it.
    CHECK((proving::text_of(path) == text));
    CHECK_FALSE(std::filesystem::exists(path.string() + ".lock"));
    CHECK(support::kind_of([&] { coppice::salvage(path, folder / "saved.db"); }) ==
          coppice::errc::already_exists);
    CHECK(support::kind_of([&] { coppice::salvage(path, path); }) == coppice::errc::already_exists);
    CHECK(support::kind_of([&] { coppice::salvage(folder / "none.db", folder / "x.db"); }) ==
          coppice::errc::not_found);
}
