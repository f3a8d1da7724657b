// SPDX-License-Identifier: BSL-1.0
// Files that lie, with checksums that hold: every field of every part set to what hurts most,
// children that are their own parents, shared or elsewhere, counts and lengths beyond all bounds.
// Reading them never leaves their bytes and never lasts for ever, and check() reports what is
// wrong.

#include <catch2/catch.hpp>
#include <damaged_file.hpp>
#include <hostile_reader.hpp>
#include <small_stack.hpp>

#include <cstdio>
#include <functional>
#include <vector>

#include <sys/resource.h>

namespace {

using forged::file_bytes;
using forged::place;
namespace format = coppice::format;

damaged::sample const& sample() {
    static auto const made = damaged::make_sample(60, {224, 160, 48, false});
    return made;
}

hostile::outcome ask(file_bytes const& file) {
    crash::machine on(crash::image_of(file));
    on.forget_log();
    return hostile::ask(on.start_process(), crash::tiny());
}

/// Where the arrays of an inner node lie.
struct inner_fields {
    inner_fields(file_bytes const& file, place const& at)
        : count(forged::load<std::uint16_t>(file, at.offset + 2)),
          heads(at.offset + 16),
          hot(heads + format::inner_view::heads_bytes(count)),
          positions(hot + 16 * count),
          entries(positions + 2 * count),
          sizes(entries + 6 * count) {}
    std::uint64_t count, heads, hot, positions, entries, sizes;
};

/// The n-th reachable part of a kind, and of a level.
place nth_part(file_bytes const& file, std::string const& what, std::size_t n, unsigned level) {
    for (auto const& each : forged::reachable(file)) {
        if (each.what == what && each.level == level && n-- == 0) return each;
    }
    throw std::runtime_error("no such part");
}
place root(file_bytes const& file) {
    for (auto const& each : forged::reachable(file)) {
        if (each.what == "inner" || each.what == "leaf") return each;
    }
    throw std::runtime_error("no root");
}
std::uint64_t hot_of(place const& at) { return format::node_ref::at(at.offset, at.size, 0).hot; }
/// The leaf entry that names an extent: where its reference lies.
std::uint64_t reference_of(file_bytes const& file, place const& extent) {
    format::leaf_view const leaf(file.data() + extent.parent);
    auto const* const at = reinterpret_cast<std::byte const*>(leaf.value(extent.index).raw.data());
    return static_cast<std::uint64_t>(at - file.data());
}

struct lie {
    char const* what;
    std::function<void(file_bytes&)> tell;
};

void child_becomes(file_bytes& file, std::uint64_t hot) {
    auto const parent = root(file);
    forged::store(file, inner_fields(file, parent).hot, hot);
}

std::vector<lie> lies_about_children() {
    return {
        {"a child that is its parent", [](file_bytes& f) { child_becomes(f, hot_of(root(f))); }},
        {"a child that lies behind its parent",
         [](file_bytes& f) {
             auto below = nth_part(f, "inner", 0, 1);
             auto const above = root(f);
             forged::store(f, inner_fields(f, below).hot, hot_of(above));
         }},
        {"a child that lies behind the end",
         [](file_bytes& f) { child_becomes(f, (std::uint64_t{1} << 40U) << 19U | 20); }},
        {"a child of no size",
         [](file_bytes& f) { child_becomes(f, hot_of(root(f)) & ~std::uint64_t{0x7FFFF}); }},
        {"a child in memory",
         [](file_bytes& f) { child_becomes(f, format::memory_bit | 0x12345); }},
        {"no child at all", [](file_bytes& f) { child_becomes(f, 0); }},
        {"a child in the header", [](file_bytes& f) { child_becomes(f, 20); }},
        {"a child that is a slot",
         [](file_bytes& f) { child_becomes(f, (4096U / 8) << 19U | 16); }},
        {"a child of the wrong level",
         [](file_bytes& f) { child_becomes(f, hot_of(nth_part(f, "leaf", 0, 0))); }},
        {"a child that is a value",
         [](file_bytes& f) {
             auto const value = nth_part(f, "extent", 0, 0);
             child_becomes(f, value.offset / 8 << 19U | value.size / 8);
         }},
        {"two references to one child",
         [](file_bytes& f) {
             auto const at = inner_fields(f, root(f));
             forged::store(f, at.hot + 8, forged::load<std::uint64_t>(f, at.hot));
         }},
        {"two references to one leaf",
         [](file_bytes& f) {
             auto const at = inner_fields(f, nth_part(f, "inner", 0, 1));
             forged::store(f, at.hot + 8, forged::load<std::uint64_t>(f, at.hot));
         }},
    };
}

std::vector<lie> lies_about_nodes() {
    return {
        {"a count of 65,535",
         [](file_bytes& f) { forged::store(f, root(f).offset + 2, std::uint16_t{65535}); }},
        {"a single child",
         [](file_bytes& f) { forged::store(f, root(f).offset + 2, std::uint16_t{1}); }},
        {"an unknown kind", [](file_bytes& f) { f[root(f).offset] = std::byte{9}; }},
        {"a patched node", [](file_bytes& f) { f[root(f).offset + 10] = std::byte{1}; }},
        {"a prefix that no key has",
         [](file_bytes& f) {
             forged::store(f, nth_part(f, "leaf", 1, 0).offset + 8, std::uint16_t{60000});
         }},
        {"entries that are not there",
         [](file_bytes& f) { f[inner_fields(f, root(f)).entries + 5] = std::byte{0xFF}; }},
        {"one entry too few",
         [](file_bytes& f) {
             auto const at = inner_fields(f, root(f)).entries;
             f[at] = std::byte(std::to_integer<unsigned>(f[at]) - 1);
         }},
        {"bytes that are not there",
         [](file_bytes& f) { f[inner_fields(f, root(f)).sizes + 1] ^= std::byte{0x40}; }},
        {"keys that descend",
         [](file_bytes& f) {
             auto const leaf = nth_part(f, "leaf", 2, 0);
             format::leaf_view const view(f.data() + leaf.offset);
             auto const key = view.key(0);
             auto const* const at = reinterpret_cast<std::byte const*>(key.data() + key.size());
             f[static_cast<std::size_t>(at - f.data()) - 1] = std::byte{0xFF};
         }},
        {"a head that is not its key's",
         [](file_bytes& f) { f[nth_part(f, "leaf", 2, 0).offset + 17] ^= std::byte{0x01}; }},
        {"a separator below its child",
         [](file_bytes& f) {
             auto const inner = nth_part(f, "inner", 0, 1);
             format::inner_view const view(f.data() + inner.offset);
             auto const* const at = reinterpret_cast<std::byte const*>(view.suffix(0).data());
             f[static_cast<std::size_t>(at - f.data())] = std::byte{0xFF};
         }},
        {"an unknown entry flag",
         [](file_bytes& f) { f[nth_part(f, "leaf", 1, 0).offset + 12] = std::byte{4}; }},
    };
}

std::vector<lie> lies_about_values() {
    std::vector<lie> all;
    for (auto const length :
         {std::uint64_t{0}, std::uint64_t{1} << 20U, std::uint64_t{1} << 46U,
          std::uint64_t{1} << 48U, std::uint64_t{1} << 63U, ~std::uint64_t{0}}) {
        all.push_back({"a value of a length it does not have", [length](file_bytes& f) {
                           auto const at = reference_of(f, nth_part(f, "extent", 1, 0));
                           forged::store(f, at + 8, length);
                       }});
    }
    for (auto const offset : {std::uint64_t{0}, std::uint64_t{4096}, std::uint64_t{12289},
                              std::uint64_t{1} << 40U, std::uint64_t{1} << 63U}) {
        all.push_back({"a value where there is none", [offset](file_bytes& f) {
                           auto const at = reference_of(f, nth_part(f, "extent", 1, 0));
                           forged::store(f, at, offset);
                       }});
    }
    return all;
}

std::vector<lie> lies_about_the_commit() {
    auto const field = [](char const* what, std::uint64_t offset, std::uint64_t value) {
        return lie{what, [=](file_bytes& f) {
                       forged::store(f, forged::newest_record(f) + offset, value);
                   }};
    };
    return {
        field("a root that is not there", 32, (std::uint64_t{1} << 40U) << 19U | 20),
        field("a root behind its record", 32, std::uint64_t{20000} << 19U | 20),
        field("entries that the tree has not", 48, 61),
        field("entries without number", 48, ~std::uint64_t{0}),
        field("bytes that the tree has not", 56, 17),
        field("a record before the first", 80, 12280),
        field("a previous record that is none", 80, 12296),
        field("an index that does not follow", 112, 1000),
        field("a time before its predecessor's", 24, 1),
        {"an index that is one too small",
         [](file_bytes& f) {
             auto const at = forged::newest_record(f) + 112;
             forged::store(f, at, forged::load<std::uint64_t>(f, at) - 1);
         }},
        {"a tree of 41 levels",
         [](file_bytes& f) { f[forged::newest_record(f) + 6] = std::byte{41}; }},
        {"a tree one level too high",
         [](file_bytes& f) {
             auto const at = forged::newest_record(f) + 6;
             f[at] = std::byte(std::to_integer<unsigned>(f[at]) + 1);
         }},
        {"a tree one level too low",
         [](file_bytes& f) {
             auto const at = forged::newest_record(f) + 6;
             f[at] = std::byte(std::to_integer<unsigned>(f[at]) - 1);
         }},
    };
}

/// Tells each lie. @return how many of the files opened and were found clean
std::size_t believe(std::vector<lie> const& lies, damaged::sample const& about = sample()) {
    std::size_t believed = 0;
    for (auto const& each : lies) {
        auto file = about.file;
        each.tell(file);
        forged::fix_checksums(file);
        CHECK(file != about.file);
        auto const result = ask(file);
        if (result.opened && result.clean && !result.older) {
            ++believed;
            std::printf("    believed: %s\n", each.what);
        }
    }
    return believed;
}

} // namespace

TEST_CASE("computing the checksums of a sound file anew changes nothing") {
    auto file = sample().file;
    forged::fix_checksums(file);
    CHECK(file == sample().file);
    auto const result = ask(file);
    CHECK(result.clean);
    CHECK(result.written);
}

namespace {

damaged::sample const& patched_sample() {
    static auto const made = damaged::make_sample(60, {512, 512, 48});
    return made;
}

place first_patch(file_bytes const& file, char const* what) {
    for (auto const& each : forged::reachable(file)) {
        if (each.what == what) return each;
    }
    throw std::runtime_error("no such patch");
}
/// Where the fields of a leaf patch begin, and the arrays of an inner one.
std::uint64_t leaf_patch_fields(file_bytes const& file, place const& at) {
    return at.offset + 16 + 2 + 9 * forged::load<std::uint16_t>(file, at.offset + 2);
}
void add_to(file_bytes& file, std::uint64_t at, int by) {
    forged::store(file, at, static_cast<std::uint16_t>(forged::load<std::uint16_t>(file, at) + by));
}

std::vector<lie> lies_about_patches() {
    auto const leaf_patch = [](file_bytes const& f) { return first_patch(f, "leaf patch"); };
    auto const inner_patch = [](file_bytes const& f) { return first_patch(f, "inner patch"); };
    auto const totals = [=](file_bytes const& f) {
        auto const at = inner_patch(f);
        return at.offset + 24 + 20 * forged::load<std::uint16_t>(f, at.offset + 2);
    };
    return {
        {"a leaf patch of a larger base",
         [=](file_bytes& f) {
             auto const at = leaf_patch(f);
             add_to(f, at.offset + 10, 1);
             add_to(f, leaf_patch_fields(f, at) + 6, 1);
         }},
        {"a leaf patch that counts one entry more",
         [=](file_bytes& f) { add_to(f, leaf_patch_fields(f, leaf_patch(f)) + 6, 1); }},
        {"a change of another entry",
         [=](file_bytes& f) {
             auto const at = leaf_patch_fields(f, leaf_patch(f)) + 8;
             add_to(f, at, forged::load<std::uint16_t>(f, at) >= 2 ? -2 : 2);
         }},
        {"a changed key that is another",
         [=](file_bytes& f) {
             auto const at = leaf_patch(f);
             auto const record = forged::load<std::uint16_t>(
                 f, at.offset + 16 + 4 * forged::load<std::uint16_t>(f, at.offset + 2));
             f[at.offset + record + 6] ^= std::byte{1};
         }},
        {"a head of a change",
         [=](file_bytes& f) { f[leaf_patch(f).offset + 16] ^= std::byte{1}; }},
        {"padding of a leaf patch",
         [=](file_bytes& f) {
             auto const at = leaf_patch(f);
             f[at.offset + at.size - 1] ^= std::byte{1};
         }},
        {"an inner patch of a larger base",
         [=](file_bytes& f) {
             auto const at = inner_patch(f).offset;
             add_to(f, at + 10, 1);
             add_to(f, at + 22, 1);
         }},
        {"an inner patch that counts one child more",
         [=](file_bytes& f) { add_to(f, inner_patch(f).offset + 22, 1); }},
        {"a change of another child",
         [=](file_bytes& f) {
             auto const at = inner_patch(f).offset;
             auto const places = at + 24 + 16 * forged::load<std::uint16_t>(f, at + 2);
             add_to(f, places, forged::load<std::uint16_t>(f, places) >= 4 ? -4 : 4);
         }},
        {"a patch that is told as a node",
         [=](file_bytes& f) {
             auto const at = inner_patch(f).offset;
             add_to(f, at + 24 + 16 * forged::load<std::uint16_t>(f, at + 2), 1);
         }},
        {"a patch that is a leaf",
         [=](file_bytes& f) {
             forged::store(f, inner_patch(f).offset + 24, hot_of(nth_part(f, "leaf", 0, 0)));
         }},
        {"totals with an entry more", [=](file_bytes& f) { add_to(f, totals(f), 1); }},
        {"totals with more bytes",
         [=](file_bytes& f) {
             auto const count = forged::load<std::uint16_t>(f, inner_patch(f).offset + 2);
             add_to(f, totals(f) + 6U * count, 8);
         }},
        {"a level of a patch that is its base's",
         [=](file_bytes& f) { f[inner_patch(f).offset + 1] &= std::byte{0x7F}; }},
        {"a root whose patch is that of a leaf",
         [=](file_bytes& f) {
             auto const record = forged::newest_record(f);
             forged::store(f, record + 128, hot_of(leaf_patch(f)));
         }},
    };
}

} // namespace

TEST_CASE("check() reports patches that contradict their bases") {
    CHECK(believe(lies_about_patches(), patched_sample()) == 0);
}
TEST_CASE("computing the checksums of a sound file with patches anew changes nothing") {
    auto file = patched_sample().file;
    forged::fix_checksums(file);
    CHECK(file == patched_sample().file);
    CHECK(ask(file).clean);
}
TEST_CASE("check() reports children that cannot be") { CHECK(believe(lies_about_children()) == 0); }
TEST_CASE("check() reports nodes that contradict themselves") {
    CHECK(believe(lies_about_nodes()) == 0);
}
TEST_CASE("check() reports values that cannot be") { CHECK(believe(lies_about_values()) == 0); }
TEST_CASE("check() reports commits that contradict themselves") {
    CHECK(believe(lies_about_the_commit()) == 0);
}

namespace {

/// Each level names the level below it twice. Such a file is small, and its entries are many.
file_bytes shared_tree(unsigned levels) {
    auto file = sample().file;
    auto const leaf = nth_part(file, "leaf", 0, 0);
    auto below = hot_of(leaf);
    std::uint64_t entries = forged::load<std::uint16_t>(file, leaf.offset + 2);
    auto bytes = leaf.size;
    for (unsigned level = 1; level < levels; ++level) {
        format::inner_item const items[] = {{"", {{below, 0}, entries, bytes}},
                                            {"m", {{below, 0}, entries, bytes}}};
        std::vector<std::byte> node(format::inner_node_bytes(items));
        format::write_inner(level, items, node);
        below = format::node_ref::at(file.size(), node.size(), 0).hot;
        file.insert(file.end(), node.begin(), node.end());
        entries *= 2;
        bytes = 2 * bytes + node.size();
    }
    format::commit_record record;
    record.commit_id = 9;
    record.time_us = 9;
    record.user = {{{below, 0}, entries, bytes}, static_cast<std::uint8_t>(levels)};
    record.begin_offset = 12288;
    record.data_summed = false;
    auto const image = format::encode(record);
    format::superblock slot;
    slot.counter = 100;
    slot.commit_id = 9;
    slot.record_offset = file.size();
    slot.record_bytes = static_cast<std::uint32_t>(image.size());
    slot.end_offset = slot.verify_from = file.size() + image.size();
    file.insert(file.end(), image.begin(), image.end());
    auto const encoded = format::encode(slot);
    std::copy(encoded.begin(), encoded.end(), file.begin() + 4096);
    forged::fix_checksums(file);
    return file;
}

} // namespace

TEST_CASE("a tree whose nodes are shared a billion times is found out in no time") {
    auto const result = ask(shared_tree(30));
    CHECK(result.opened);
    CHECK_FALSE(result.clean);
}

TEST_CASE("the tallest tree there can be may be asked for everything with a stack of 64 KiB") {
    if (workbench::skip_small_stacks()) return;
    auto const tallest = shared_tree(format::max_height);
    hostile::outcome result;
    workbench::with_stack(std::size_t{64} << 10U, [&] { result = ask(tallest); });
    CHECK(result.opened);
    CHECK_FALSE(result.clean);
    // One level more is no tree: the commit before it is taken.
    CHECK(ask(shared_tree(format::max_height + 1)).older);
    CHECK_FALSE(result.older);
}

TEST_CASE("a slot that names an end far behind the file does not make the file grow to it") {
    // The slot is rejected, and what is written next begins behind what it names. It once began
    // where the slot said, a terabyte away.
    auto file = sample().file;
    auto const newest = forged::newest_slot(file).value();
    auto const at = format::slot_offset(1U - newest);
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(format::slot_offset(newest)), 128,
                file.begin() + static_cast<std::ptrdiff_t>(at));
    forged::store(file, at + 8, std::uint64_t{1000});
    forged::store(file, at + 48, std::uint64_t{1} << 40U);
    forged::fix_checksums(file);
    auto const result = ask(file);
    CHECK(result.opened);
    CHECK(result.older);
    CHECK(result.written);
}

TEST_CASE("a node that has the size of no node is not taken for a value that was verified") {
    // The table of what is verified knows values by a size that no node may have. A node of that
    // size at the place of a value went unchecked, and reading it left its bytes.
    auto chosen = crash::tiny();
    chosen.nodes = {224, 160, 48};
    crash::scribe by(chosen);
    by.create();
    crash::edits changes;
    // The first bytes of the value make it a leaf with a count that its size cannot hold.
    std::string value(std::size_t{1} << 20U, '\0');
    value[0] = 3;
    value[2] = value[3] = value[8] = value[9] = '\xff';
    changes.emplace_back("aa", value);
    for (unsigned i = 0; i < 5; ++i) changes.emplace_back("b" + std::to_string(i), value);
    for (unsigned i = 0; i < 20; ++i) changes.emplace_back("c" + std::to_string(100 + i), "small");
    by.commit(changes, crash::durability::two_sync);
    auto file = by.now().files.at(1).seen();
    auto const first = nth_part(file, "extent", 0, 0);
    auto const parent = nth_part(file, "inner", 0, 1);
    auto const fields = inner_fields(file, parent);
    forged::store(file, fields.hot + 8, first.offset / 8 << 19U | 0x7FFFF);
    forged::fix_checksums(file);

    crash::machine on(crash::image_of(file));
    crash::database const db(on.start_process(), chosen);
    auto const state = db.read();
    CHECK(state.get("aa")->size() == value.size());
    auto const low = format::inner_view(file.data() + parent.offset).separator(0);
    CHECK_THROWS_AS(state.get(low), coppice::error);
    CHECK_FALSE(db.check().clean());
}

TEST_CASE("any field of any part, set to what hurts, leads to an answer or a typed error") {
    workbench::keep_memory();
    workbench::distinct_cases distinct;
    std::size_t opened = 0;
    std::size_t clean = 0;
    std::size_t written = 0;
    auto const size = sample().file.size();
    std::uint64_t const hurtful[] = {
        0, 1, ~std::uint64_t{0}, ~std::uint64_t{1}, 0x8000'8000'8000'8000U, size, size + 8};
    auto const step = workbench::scale() > 1 ? 1U : 5U;
    unsigned number = 0;
    for (auto const& part : forged::reachable(sample().file)) {
        if (part.what == "extent") continue;
        for (std::uint64_t at = part.offset; at < part.offset + part.size; at += 2) {
            for (std::uint64_t width : {2U, 4U, 8U}) {
                if (at % width != 0 || at + width > size) continue;
                for (auto const value : hurtful) {
                    if (number++ % step != 0) continue;
                    auto file = sample().file;
                    std::memcpy(file.data() + at, &value, width);
                    forged::fix_checksums(file);
                    if (!distinct.add(file)) continue;
                    INFO(part.what << " at " << part.offset << ", byte " << at - part.offset << ", "
                                   << width << " bytes = " << value);
                    hostile::outcome result;
                    REQUIRE_NOTHROW(result = ask(file));
                    opened += result.opened ? 1U : 0U;
                    clean += result.clean ? 1U : 0U;
                    written += result.written ? 1U : 0U;
                }
            }
        }
    }
    std::printf("%zu distinct forged files: %zu opened, %zu of them clean, %zu took a write\n",
                distinct.count(), opened, clean, written);
    CHECK(distinct.count() > 1000);
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    std::printf("at most %ld MiB of memory were in use\n", used.ru_maxrss / 1024);
}
