// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/appended_source.hpp: nodes of a base, and those just appended behind it.
// Owns: reading back what an appender has sealed, for a builder that opens a neighbour again.
// Invariant: what was appended is read through the file into copies that live as long as the
//   source, so the appender's buffer may move. Rare: once a level at the end of a build.
//   Models `tree::node_source`. Belongs to the one writer.

#include <coppice/error.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/tree/tree.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// Reads a base and what an appender writes behind it, or into a fresh file.
template <storage::storage Storage> class appended_source {
  public:
    /// @param base where nodes below its end are; null when building a fresh file
    appended_source(revision const* base, appender<Storage>& appended, Storage const& storage)
        : base_(base), appended_(appended), storage_(storage) {}

    /// @throws errc::corrupt
    [[nodiscard]] std::byte const* node(format::node_ref ref, unsigned level) const {
        if (ref.in_memory()) return ref.memory();
        if (base_ != nullptr && ref.offset() < base_->limit_offset()) {
            return base_->node(ref, level);
        }
        appended_.flush();
        auto& copy = copies_.emplace_back(static_cast<std::size_t>(ref.size_bytes()));
        if (storage_.read(ref.offset(), copy) != copy.size() ||
            format::checksum(copy) != ref.checksum) {
            throw error(errc::corrupt, "a node just written does not read back", {}, ref.offset());
        }
        return copy.data();
    }

  private:
    revision const* base_;
    appender<Storage>& appended_;
    Storage const& storage_;
    mutable std::deque<std::vector<std::byte>> copies_;
};

} // namespace coppice::inline COPPICE_ABI::store
