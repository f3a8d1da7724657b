// SPDX-License-Identifier: BSL-1.0
// tools/coppice/verbs/mapping.cpp: map.
// Invariant: the page is complete in itself, and nothing of the database is part of its markup: all
// of it is in one JSON text without '<', which the page writes as text.

#include "tools/coppice/file_map.hpp"
#include "tools/coppice/map_page.hpp"
#include "tools/coppice/output.hpp"
#include "tools/coppice/text_form.hpp"
#include "tools/coppice/verbs.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace tool {

namespace {

using json = nlohmann::ordered_json;

std::string escaped(std::string_view text) {
    std::string result;
    append_escaped(result, text);
    return result;
}

json json_of(map_cell const& cell) {
    json object;
    auto& bytes = object["b"] = json::array();
    for (std::size_t i = 0; i < byte_classes; ++i) {
        if (cell.bytes[i] == 0) continue;
        bytes.push_back(i);
        bytes.push_back(cell.bytes[i]);
    }
    if (cell.last_commit != 0) object["c"] = {cell.first_commit, cell.last_commit};
    if (cell.nodes != 0) object["n"] = cell.nodes;
    if (cell.has_key) object["k"] = escaped(cell.key);
    return object;
}

/// The commits, or so many of them, evenly, that a chart can show; the first and the last always.
json json_of(std::vector<map_moment> const& moments) {
    constexpr std::size_t most = 600;
    auto const step = std::max<std::size_t>(1, (moments.size() + most - 1) / most);
    auto array = json::array();
    for (std::size_t i = 0; i < moments.size(); ++i) {
        if (i % step != 0 && i + 1 != moments.size()) continue;
        auto const& at = moments[i];
        auto const time = coppice::store::to_time_point(at.time_us);
        array.push_back({at.commit_id, iso_time(time), at.entries, at.live_bytes, at.end_offset});
    }
    return array;
}

json json_of(file_map const& map, coppice::snapshot const& of, std::string const& file) {
    json object;
    object["file"] = escaped(std::filesystem::path(file).filename().string());
    object["commit"] = of.id().value;
    object["time"] = iso_time(of.time());
    object["entries"] = of.size();
    object["commits"] = map.moments.size();
    object["extents"] = map.extents;
    object["file_bytes"] = map.file_bytes;
    object["cell_bytes"] = map.cell_bytes;
    auto const& nodes = of.state()->image().header.nodes;
    object["node_bytes"] = {nodes.leaf_bytes, nodes.inner_bytes};
    object["levels"] = json::array();
    for (auto const& level : map.levels) {
        object["levels"].push_back(
            {{"nodes", level.nodes}, {"bytes", level.bytes}, {"fill", level.fill}});
    }
    object["history"] = json_of(map.moments);
    object["cells"] = json::array();
    for (auto const& cell : map.cells) object["cells"].push_back(json_of(cell));
    return object;
}

/// A JSON text that may stand in a script element: nothing in it can end that, or begin a comment.
std::string for_script(json const& object) {
    auto const text = object.dump(-1, ' ', true);
    std::string safe;
    safe.reserve(text.size());
    for (auto const c : text) {
        if (c == '<') {
            safe += "\\u003c"; // only strings have one
        } else {
            safe += c;
        }
    }
    return safe;
}

} // namespace

exit_code map(arguments const& given) {
    auto const db = open_to_read(given);
    auto const at = db.read();
    auto const map = map_of(at, std::filesystem::file_size(given.file));
    output out(given.output);
    out.write(map_page_head);
    out.write(for_script(json_of(map, at, given.file)));
    out.write(map_page_tail);
    out.finish();
    return exit_code::done;
}

} // namespace tool
