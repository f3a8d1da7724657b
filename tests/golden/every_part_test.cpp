// SPDX-License-Identifier: BSL-1.0
// A database of format version 1 as it was once written, and what is in it.
//
//   every-part-1.xxd   the file in hexadecimal; `xxd -r every-part-1.xxd a.db` makes it again. A
//                      value above 1 MiB and two nodes with keys of 64 KiB are in it, and nothing
//                      in the format makes them smaller; being zeros, they take no line here
//   every-part-1.dump  what `describe` below tells of it
//   deferred-1.*       the same for a file with deferred commits that became one
//
// When this is red, the library reads or writes another format than it did. If nobody meant that,
// it is a bug, and every database out there is affected: find it. These files never change:
// what is written from a later version on gets files of its own beside them, where there are none:
//   COPPICE_GOLDEN_FOLDER=tests/golden build/dev/bin/golden_tests "[.make-every-part]"
// If only the text changed, look at each line that did.

#include <coppice/coppice.hpp>

#include <forged_file.hpp>
#include <test_database.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace coppice;
namespace fs = std::filesystem;

namespace {

// ---- the file as text ------------------------------------------------------------------------

std::string hex(std::uint64_t number, int digits = 16) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llx", digits, static_cast<unsigned long long>(number));
    return text;
}

/// As xxd prints it: sixteen bytes a line; here a star stands for any lines of zeros.
std::string to_xxd(std::string_view file) {
    std::string text;
    bool skipping = false;
    for (std::size_t at = 0; at < file.size(); at += 16) {
        auto const line = file.substr(at, 16);
        auto const last = at + 16 >= file.size();
        if (!last && line == std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16)) {
            if (!skipping) text += "*\n";
            skipping = true;
            continue;
        }
        skipping = false;
        text += hex(at, 8) + ":";
        for (std::size_t i = 0; i < 16; ++i) {
            if (i % 2 == 0) text += ' ';
            text += i < line.size() ? hex(static_cast<unsigned char>(line[i]), 2) : "  ";
        }
        text += "  ";
        for (auto const c : line) text += c >= ' ' && c <= '~' ? c : '.';
        text += '\n';
    }
    return text;
}

/// As `xxd -r`.
std::string from_xxd(std::string const& text) {
    std::string file;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line == "*") continue;
        file.resize(std::stoull(line.substr(0, 8), nullptr, 16), '\0');
        auto const bytes_text = line.substr(9, 40);
        std::string digits;
        std::copy_if(bytes_text.begin(), bytes_text.end(), std::back_inserter(digits),
                     [](char c) { return c != ' '; });
        for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
            file += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
        }
    }
    return file;
}

// ---- what is in it ---------------------------------------------------------------------------

/// Printable, with long runs of one byte cut short.
std::string shown(std::string_view text) {
    std::string result = "\"";
    for (std::size_t at = 0; at < text.size();) {
        auto const c = static_cast<unsigned char>(text[at]);
        auto const next = std::min(text.find_first_not_of(text[at], at), text.size());
        auto const run = next - at;
        auto const one = c >= ' ' && c <= '~' ? std::string(1, text[at]) : "\\x" + hex(c, 2);
        for (std::size_t i = 0; i < (run > 8 ? 1 : run); ++i) result += one;
        if (run > 8) result += "{" + std::to_string(run) + "}";
        at = next;
    }
    return result + "\"";
}

std::string sum_of(std::string_view text) { return hex(format::checksum(as_bytes(text))); }

void describe_slots(std::string const& file, std::ostream& out) {
    auto const whole = as_bytes(file);
    auto const header = format::decode_file_header(whole.first(format::block_bytes), {});
    out << "file: " << file.size() << " bytes, generation " << header.generation << ", nodes "
        << header.nodes.leaf_bytes << ' ' << header.nodes.inner_bytes << ' '
        << header.nodes.inline_value_bytes << ", block 0 " << sum_of(file.substr(0, 4096)) << '\n';
    for (unsigned i = 0; i < 2; ++i) {
        auto const image = whole.subspan(static_cast<std::size_t>(format::slot_offset(i)), 128);
        auto const seen = format::decode_slot(image, header);
        out << "slot " << i << ": ";
        if (seen.state != format::slot_state::good) {
            out << "not good\n";
            continue;
        }
        auto const& slot = seen.slot;
        out << "counter " << slot.counter << ", commit " << slot.commit_id << ", record "
            << slot.record_offset << '+' << slot.record_bytes << ' ' << hex(slot.record_checksum)
            << ", end " << slot.end_offset << ", verify from " << slot.verify_from << '\n';
    }
}

void describe_commit(store::revision const& state, std::ostream& out) {
    auto const& record = state.record();
    out << "commit " << record.commit_id << (record.kept ? " (kept)" : "") << ": at "
        << state.at().offset << ' ' << hex(state.at().checksum) << ", time " << record.time_us
        << ", begin " << record.begin_offset << ", data "
        << (record.data_summed ? "" : "not summed ") << hex(record.data_checksum) << ", index "
        << record.index << ", skip " << record.skip.offset << ", height " << int{record.user.height}
        << ", " << record.user.root.entries << " entries, " << record.user.root.bytes
        << " bytes, note " << shown(record.note);
    if (record.id_span != 0) out << ", and the " << record.id_span << " before it";
    out << '\n';
}

void describe_content(snapshot const& state, std::ostream& out) {
    for (auto const [key, value] : state) {
        out << "  " << shown(key) << " = ";
        if (value.size() <= 24) {
            out << shown(value) << '\n';
        } else {
            out << value.size() << " bytes " << sum_of(value) << '\n';
        }
    }
}

/// Everything that is known of a file, in text that shows in a diff what has changed.
std::string describe(fs::path const& path) {
    std::ostringstream out;
    auto const file = proving::text_of(path);
    describe_slots(file, out);
    database const db(path, {.read_only = true});
    auto const now = db.read();
    std::vector<std::byte> const file_bytes(as_bytes(file).begin(), as_bytes(file).end());
    for (auto const& each : forged::reachable(file_bytes)) {
        if (each.what == "header" || each.what == "slot" || each.what == "record") continue;
        auto const part = std::string_view(file).substr(each.offset, each.size);
        out << each.what;
        if (each.what != "extent") out << " of kind " << int{part[0]} << ", level " << each.level;
        out << ": at " << each.offset << '+' << each.size << ' ' << sum_of(part) << '\n';
    }
    for (auto const& [name, id] : db.tags()) out << "tag '" << name << "': " << id.value << '\n';
    for (auto state = now.state(); state; state = store::previous_state(*state)) {
        describe_commit(*state, out);
        describe_content(snapshot(state), out);
    }
    return out.str();
}

// ---- how it was made -------------------------------------------------------------------------

void change_and_commit(database& db, std::string const& note, durability how,
                       std::function<void(transaction&)> const& change) {
    db.update(change, how, note);
}

std::string longest_key(char last) {
    std::string key(max_key_bytes, '\0');
    key.front() = 'w';
    key.back() = last;
    return key;
}

void make(fs::path const& path) {
    auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
    auto chosen = proving::tiny();
    chosen.clock = [&] { return now += std::chrono::seconds(60); };
    database db(path, chosen);
    change_and_commit(db, "before the compaction", durability::sync, [](auto& txn) {
        txn.put("", "the empty key");
        txn.put("a", "1");
        txn.put("empty value", "");
        txn.put("out of line", proving::noise(300, 1));
    });
    db.tag("first of all");
    change_and_commit(db, "", durability::sync, [](auto& txn) { txn.put("a", "2"); });
    db.compact(); // keeps what has a name, and the newest
    change_and_commit(db, "many", durability::sync, [](auto& txn) {
        for (unsigned i = 0; i < 24; ++i) txn.put(proving::numbered("k", i), std::to_string(i * i));
    });
    change_and_commit(db, "wide nodes", durability::two_sync, [](auto& txn) {
        txn.put(longest_key('1'), "in a wide leaf");
        txn.put(longest_key('2'), "in another one, below a wide inner node");
    });
    change_and_commit(db, "a value with a table", durability::sync, [](auto& txn) {
        std::string value((1U << 20U) + 1000, '\0');
        value.front() = 'b';
        value.back() = 'e';
        txn.put("large", value);
    });
    db.tag("with a table");
    change_and_commit(db, "", durability::lazy,
                      [](auto& txn) { txn.erase(proving::numbered("k", 5), "k00000020"); });
    change_and_commit(db, "the note of a lazy commit \xc3\xa9", durability::lazy,
                      [](auto& txn) { txn.put("z", "the last one"); });
}

void make_deferred(fs::path const& path) {
    auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
    auto chosen = proving::tiny();
    chosen.clock = [&] { return now += std::chrono::seconds(60); };
    chosen.flush.interval = {};
    database db(path, chosen);
    for (unsigned i = 0; i < 12; ++i) {
        change_and_commit(db, "", durability::deferred, [&](auto& txn) {
            txn.put(proving::numbered("k", i * 7 % 12), std::to_string(i));
        });
    }
    db.flush();
    for (unsigned i = 0; i < 3; ++i) {
        change_and_commit(db, "a note", durability::deferred,
                          [&](auto& txn) { txn.erase(proving::numbered("k", i)); });
    }
    change_and_commit(db, "takes what was deferred along", durability::sync,
                      [](auto& txn) { txn.put("last", "durable"); });
}

fs::path stored(std::string_view name) {
    return fs::path(COPPICE_TEST_SOURCE_DIR) / "tests" / "golden" / name;
}

/// The file, made again from its text.
struct golden {
    explicit golden(std::string const& name = "every-part-1") {
        proving::write_text(path, from_xxd(proving::text_of(stored(name + ".xxd"))));
    }
    workbench::folder dir;
    fs::path path = dir / "golden.db";
};

} // namespace

TEST_CASE("a file of version 1 is read as it was written") {
    auto const name = GENERATE(as<std::string>(), "every-part-1", "deferred-1");
    CAPTURE(name);
    golden const file(name);
    std::istringstream is(describe(file.path));
    std::istringstream was(proving::text_of(stored(name + ".dump")));
    std::string line_is;
    std::string line_was;
    while (std::getline(was, line_was)) {
        REQUIRE(std::getline(is, line_is));
        CHECK(line_is == line_was);
    }
    CHECK_FALSE(std::getline(is, line_is));
    CHECK(to_xxd(proving::text_of(file.path)) == proving::text_of(stored(name + ".xxd")));
}

TEST_CASE("deferred commits of a file of version 1 are what one of them became") {
    golden const file("deferred-1");
    database const db(file.path, {.read_only = true});
    std::vector<std::uint64_t> ids;
    for (auto const& commit : db.history()) ids.push_back(commit.id.value);
    CHECK(ids == std::vector<std::uint64_t>{17, 13, 1});
    CHECK(db.read().size() == 10);
    CHECK(db.get("last") == "durable");
    CHECK(db.read(commit_id{13}).size() == 12);
    for (std::uint64_t const gone : {2U, 12U, 14U, 16U}) {
        CHECK_THROWS_AS(static_cast<void>(db.read(commit_id{gone})), error);
    }
    CHECK(db.check().clean());
}

TEST_CASE("the file has every kind of node, values of each sort, and commits of each way to sync") {
    auto const text = proving::text_of(stored("every-part-1.dump"));
    for (auto const* each : {"leaf of kind 1", "inner of kind 2", "leaf of kind 3",
                             "inner of kind 4", "leaf patch of kind 5", "inner patch of kind 6",
                             "extent: ", "data not summed", "generation 2"}) {
        CHECK(text.find(each) != std::string::npos);
    }
    golden const file;
    database const db(file.path, {.read_only = true});
    auto const now = db.read();
    CHECK(now.value_bytes("large") == (1U << 20U) + 1000);
    CHECK(now.value_bytes("out of line") == 300U);
    CHECK(now.get("z") == "the last one");
    CHECK(now.get("") == "the empty key");
    CHECK(now.get("empty value") == "");
    auto const report = db.check();
    CHECK(report.clean());
    CHECK(report.commits == 8);
    CHECK(db.stats().unsynced_bytes == 0); // nothing is known of another boot
}

TEST_CASE("the past of a file of version 1 is read through the public API") {
    golden const file;
    database const db(file.path, {.read_only = true});
    std::vector<std::string> notes;
    for (auto const& commit : db.history()) notes.push_back(commit.note);
    CHECK(notes == std::vector<std::string>{"the note of a lazy commit \xc3\xa9", "", "",
                                            "a value with a table", "wide nodes", "many", "",
                                            "before the compaction"});
    CHECK(db.tags() == std::vector<tagged_commit>{{"first of all", commit_id{2}},
                                                  {"with a table", commit_id{7}}});
    CHECK(db.read("with a table").size() == 31);
    auto const second = db.read("first of all");
    CHECK(second.id() == commit_id{2});
    CHECK(second.size() == 4);
    CHECK(second.get("a") == "1");
    CHECK(second.note() == "before the compaction");
    CHECK(second.time() ==
          std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'120)));
}

TEST_CASE("the first bytes of a file of version 1 are those that format.md describes") {
    golden const made;
    auto const file = proving::text_of(made.path);
    REQUIRE(file.size() > format::data_begin_offset);
    CHECK(file.substr(0, 16) == std::string("\x89"
                                            "coppice\r\n\x1a\n\0\0\0\0",
                                            16));
    CHECK(file.substr(4096, 8) == "coppslot");
    CHECK(file.substr(8192, 8) == "coppslot");
    auto const* const bytes_of = reinterpret_cast<std::byte const*>(file.data());
    CHECK(format::load<std::uint32_t>(bytes_of + 16) == 1);
    CHECK(format::load<std::uint64_t>(bytes_of + 64) == format::checksum({bytes_of, 64}));
    for (std::size_t const slot : {4096U, 8192U}) {
        CHECK(format::load<std::uint64_t>(bytes_of + slot + 120) ==
              format::checksum({bytes_of + slot, 120}));
        auto const record = format::load<std::uint64_t>(bytes_of + slot + 24);
        CHECK(file.substr(static_cast<std::size_t>(record), 4) == "crec");
    }
}

TEST_CASE("a file of version 1 is written on, and compacted") {
    golden const file;
    database db(file.path, {.create = create::never});
    proving::content model;
    auto const before = db.read();
    for (auto const [key, value] : before) model.emplace(key, value);
    db.update([&](auto& txn) { txn.put("new", model["new"] = "entry"); });
    proving::must_hold(db.read(), model);
    CHECK(db.check().clean());
    CHECK(db.compact());
    proving::must_hold(db.read(), model);
    CHECK(db.check().clean());
    CHECK(before.size() + 1 == model.size());
}

TEST_CASE("every commit of a file of version 1 is saved without header and slots") {
    golden const file;
    auto text = proving::text_of(file.path);
    std::vector<std::pair<std::uint64_t, proving::content>> states;
    {
        database const db(file.path, {.read_only = true});
        for (auto const& commit : db.history()) {
            auto const then = db.read(commit.id);
            states.emplace_back(commit.id.value, proving::content_of(then));
        }
    }
    text.replace(0, 12288, 12288, '\0');
    proving::write_text(file.path, text);
    for (auto const& [id, state] : states) {
        auto const saved = file.dir / ("saved" + std::to_string(id) + ".db");
        auto const report = salvage(file.path, saved, {.at = commit_id{id}});
        CHECK(report.taken.value == id);
        CHECK(report.newest.value == states.front().first);
        CHECK(report.lost_ranges.empty());
        CHECK(report.lost_keys.empty());
        database const db(saved, {.create = create::never});
        CHECK((proving::content_of(db.read()) == state));
        CHECK(db.check().clean());
    }
    CHECK(salvage(file.path, file.dir / "newest.db").taken.value == states.front().first);
}

TEST_CASE("makes the files of every part anew", "[.make-every-part]") {
    auto const* const folder = std::getenv("COPPICE_GOLDEN_FOLDER");
    REQUIRE(folder != nullptr);
    auto const write = [&](std::string const& name, void (*make_file)(fs::path const&)) {
        workbench::folder const dir;
        auto const path = dir / "golden.db";
        if (fs::exists(fs::path(folder) / (name + ".xxd"))) return; // these never change
        make_file(path);
        proving::write_text(fs::path(folder) / (name + ".xxd"), to_xxd(proving::text_of(path)));
        proving::write_text(fs::path(folder) / (name + ".dump"), describe(path));
    };
    write("every-part-1", make);
    write("deferred-1", make_deferred);
}
