// SPDX-License-Identifier: BSL-1.0
#pragma once
// A tree that lies in a file and is changed by one transaction after the other, so that it comes to
// have patches; beside it a std::map with what it should hold.

#include <coppice/tree/apply.hpp>
#include <coppice/tree/arena.hpp>
#include <coppice/tree/check.hpp>
#include <coppice/tree/relocate.hpp>

#include <memory_source.hpp>
#include <tree_image.hpp>

#include <cstddef>
#include <string>

namespace grove {

/// A file that grows by a tree with each transaction, as commits do it. Nodes that are not in
/// memory may get patches, so that they are in a file is what matters here.
class growing_tree {
  public:
    explicit growing_tree(coppice::node_sizes const& sizes) : sizes_(sizes) {}

    void apply(grove::changes const& edits) {
        tree::arena memory;
        grove::walk by(edits, memory, sizes_.inline_value_bytes);
        take(tree::apply(source_, memory, sizes_, now_, by));
        grove::change(content_, edits);
    }
    void erase_range(std::string const& from, std::string const& to) {
        tree::arena memory;
        take(tree::erase_range(source_, memory, sizes_, now_, from, to));
        content_.erase(content_.lower_bound(from), content_.lower_bound(to));
    }
    [[nodiscard]] tree::tree_ref const& now() const { return now_; }
    [[nodiscard]] grove::image_source const& source() const { return source_; }
    [[nodiscard]] grove::content const& content() const { return content_; }
    [[nodiscard]] tree::check_report check() const {
        return tree::check(source_, now_, sizes_,
                           [&](auto const& extent) { static_cast<void>(source_.value(extent)); });
    }
    [[nodiscard]] std::size_t written_bytes() const { return sink_.file.size(); }

  private:
    void take(tree::tree_ref const& made) {
        now_ = tree::relocate(sink_, made);
        source_.file = sink_.file;
    }

    coppice::node_sizes sizes_;
    grove::image_sink sink_;
    grove::image_source source_;
    tree::tree_ref now_;
    grove::content content_;
};

} // namespace grove
