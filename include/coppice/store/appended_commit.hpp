// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/appended_commit.hpp: a commit between the end of its turn and its promise.
// Owns: which one, its state, how durable it is to become, and a share of the tenure that settles
// it. Invariant: while it lives the tenure does. Thread safety: that of the tenure.

#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/tenure.hpp>

#include <cstdint>
#include <memory>

namespace coppice::inline COPPICE_ABI::store {

/// A commit whose bytes are appended, and which is still to be settled. It keeps the tenure.
template <storage::medium Medium> struct appended_commit {
    std::shared_ptr<tenure<Medium>> within;
    std::uint64_t id = 0;
    revision_ptr state; ///< null while no tree was made of it
    durability how{};

    /// Would `settle` not wait?
    [[nodiscard]] bool is_settled() const {
        return how == durability::deferred || within->is_settled(id, how);
    }
    /// Waits until the commit has what it was promised. @throws errc::sync_failed
    void settle() const {
        if (how != durability::deferred) within->settle(id, how);
    }
};

} // namespace coppice::inline COPPICE_ABI::store
