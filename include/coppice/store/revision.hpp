// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/revision.hpp: one state of the database, immutable, shared by all who read it.
// Owns: a file image, the end of the bytes that belong to this state, the two trees, the commit
//   record, and a share in the arena where a transaction's view has nodes in memory.
// Invariant: nothing in it changes after it was made, so any number of threads may read it; it
//   keeps mapping and arena alive. Models `tree::node_source`.

#include <coppice/commit_id.hpp>
#include <coppice/store/image.hpp>
#include <coppice/store/published.hpp>
#include <coppice/tree/arena.hpp>
#include <coppice/tree/tree.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

using format::tree_ref;

/// One state of the database.
class revision final : public counted {
  public:
    /// A committed state.
    /// @param record the commit, @param at where its record lies, @param limit_offset its end
    revision(std::shared_ptr<file_image const> image, commit_record record, record_ref at,
             std::uint64_t limit_offset)
        : image_(std::move(image)),
          record_(std::move(record)),
          record_ref_(at),
          limit_offset_(limit_offset),
          user_(record_.user) {}

    /// A commit that is kept in memory: deferred.
    /// @param base a committed state, @param record the commit, with its tree,
    /// @param arena where that tree's new nodes are
    revision(revision const& base, commit_record record, std::shared_ptr<tree::arena const> arena)
        : image_(base.image_),
          record_(std::move(record)),
          limit_offset_(base.limit_offset_),
          user_(record_.user),
          arena_(std::move(arena)) {}

    /// What a transaction has made of a base so far.
    /// @param user its tree, maybe in memory, @param arena where that memory is
    revision(revision const& base, tree_ref const& user, std::shared_ptr<tree::arena const> arena)
        : image_(base.image_),
          record_(base.record_),
          record_ref_(base.record_ref_),
          limit_offset_(base.limit_offset_),
          user_(user),
          arena_(std::move(arena)),
          revoked_(base.revoked_) {}

    /// The same, able to read bytes that the transaction has written behind the base.
    /// @param image covers them, @param revoked is set when they may be overwritten
    revision(revision const& base, std::shared_ptr<file_image const> image,
             std::uint64_t limit_offset, std::shared_ptr<std::atomic<bool> const> revoked)
        : image_(std::move(image)),
          record_(base.record_),
          record_ref_(base.record_ref_),
          limit_offset_(limit_offset),
          user_(base.user_),
          arena_(base.arena_),
          revoked_(std::move(revoked)) {}

    /// A checked node. @throws errc::corrupt, errc::finished
    [[nodiscard]] std::byte const* node(node_ref ref, unsigned level) const {
        if (ref.in_memory()) return ref.memory();
        check_not_revoked();
        return image_->node(ref, level, limit_offset_);
    }

    /// Asks for the first bytes of a node that is read soon: only a hint.
    void prefetch(node_ref ref, std::uint64_t most_bytes) const noexcept {
        if (!ref.in_memory()) return image_->prefetch(ref, most_bytes);
        prefetch_lines(ref.memory(), std::min(ref.size_bytes(), most_bytes));
    }

    /// A value, wherever it lies. Valid as long as this revision. @throws errc::corrupt
    [[nodiscard]] std::string_view value(format::stored_value const& stored) const {
        if (!stored.out_of_line) return stored.raw;
        auto const extent = stored.extent();
        return value_part(extent, 0, extent.length_bytes);
    }

    /// Part of a value that lies out of line. REQUIRES: within its length.
    [[nodiscard]] std::string_view value_part(extent_ref const& extent, std::uint64_t offset,
                                              std::uint64_t size_bytes) const {
        if (extent.in_memory()) {
            return {reinterpret_cast<char const*>(extent.memory()) + offset,
                    static_cast<std::size_t>(size_bytes)};
        }
        check_not_revoked();
        return image_->value_part(extent, offset, size_bytes, limit_offset_);
    }

    [[nodiscard]] tree_ref const& user() const noexcept { return user_; }
    /// Where its nodes in memory are; null where it can have none.
    [[nodiscard]] std::shared_ptr<tree::arena const> const& memory() const noexcept {
        return arena_;
    }
    [[nodiscard]] tree_ref const& system() const noexcept { return record_.system; }
    [[nodiscard]] commit_record const& record() const noexcept { return record_; }
    /// Where the record lies; nowhere for a deferred commit.
    [[nodiscard]] record_ref const& at() const noexcept { return record_ref_; }
    [[nodiscard]] bool is_deferred() const noexcept { return record_ref_.is_null(); }
    [[nodiscard]] std::uint64_t limit_offset() const noexcept { return limit_offset_; }
    [[nodiscard]] file_image const& image() const noexcept { return *image_; }
    [[nodiscard]] std::shared_ptr<file_image const> const& shared_image() const noexcept {
        return image_;
    }

  private:
    void check_not_revoked() const {
        if (revoked_ && revoked_->load(std::memory_order_acquire)) refuse_revoked();
    }
    [[noreturn, gnu::cold]] static void refuse_revoked() {
        throw error(errc::finished, "a view of a transaction that was rolled back after changes "
                                    "of it had gone to the file");
    }

    std::shared_ptr<file_image const> image_;
    commit_record record_;
    record_ref record_ref_;
    std::uint64_t limit_offset_;
    tree_ref user_;
    std::shared_ptr<tree::arena const> arena_;
    std::shared_ptr<std::atomic<bool> const> revoked_;
};

static_assert(tree::node_source<revision>);

/// A reference to a state.
using revision_ptr = ref_ptr<revision>;

} // namespace coppice::inline COPPICE_ABI::store
