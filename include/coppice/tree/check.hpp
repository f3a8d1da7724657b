// STAND-IN until the real tree/check.hpp arrives; overwrite me.
#pragma once
#include <coppice/options.hpp>
#include <coppice/tree/cursor.hpp>
#include <functional>
#include <string>
#include <vector>
namespace coppice::inline COPPICE_ABI::tree {
struct finding { std::string what; std::uint64_t offset = 0; };
struct check_report {
    std::vector<finding> findings;
    std::uint64_t nodes = 0, leaves = 0, entries = 0, bytes = 0;
};
template <node_source Source>
check_report check(Source const& source, tree_ref const& tree, node_sizes const&,
                   std::function<void(extent_ref const&)> const& verify_extent = {}) {
    check_report report;
    try {
        cursor<Source> at(source, tree);
        for (at.first(); at.valid(); at.next()) {
            ++report.entries;
            if (at.value().out_of_line && verify_extent) verify_extent(at.value().extent());
        }
    } catch (error const& e) {
        report.findings.push_back({e.what(), e.offset().value_or(0)});
    }
    return report;
}
} // namespace coppice::inline COPPICE_ABI::tree
