// SPDX-License-Identifier: BSL-1.0
#include <coppice/tree/edits.hpp>

#include <catch2/catch.hpp>

#include <string>

using coppice::format::stored_value;
using coppice::tree::edit_map;

TEST_CASE("a map of edits says what is pending for a key") {
    edit_map edits;
    stored_value value;
    CHECK(edits.empty());
    CHECK(edits.find("k", value) == edit_map::pending::none);
    edits.put("k", {"one", false});
    CHECK(edits.find("k", value) == edit_map::pending::put);
    CHECK(value.raw == "one");
    edits.put("k", {"two", false});
    CHECK(edits.find("k", value) == edit_map::pending::put);
    CHECK(value.raw == "two");
    edits.erase("k");
    CHECK(edits.find("k", value) == edit_map::pending::erased);
    CHECK(value.raw == "two");
    CHECK(edits.has("k"));
    CHECK(edits.size() == 1);
    edits.forget("k");
    CHECK_FALSE(edits.has("k"));
    edits.put("", {"", false});
    CHECK(edits.has(""));
    edits.clear();
    CHECK(edits.empty());
}

TEST_CASE("a later edit keeps the key of the first one") {
    edit_map edits;
    edits.put("key", {"one", false});
    {
        std::string const passing = "key";
        edits.put(passing, {"two", false});
        edits.erase(passing);
    }
    edit_map::walk walk(edits);
    CHECK(walk.key() == "key");
    CHECK(walk.value() == nullptr);
}

TEST_CASE("a walk over edits goes in key order, bytes above 0x7f last") {
    edit_map edits;
    edits.put("\xff", {"4", false});
    edits.put("b", {"3", false});
    edits.erase("a");
    edits.put("", {"1", false});
    std::string seen;
    for (edit_map::walk walk(edits); !walk.done(); walk.next()) {
        seen += std::string(walk.key()) + "=" +
                (walk.value() != nullptr ? std::string(walk.value()->raw) : "gone") + ";";
    }
    CHECK(seen == "=1;a=gone;b=3;\xff=4;");
}
