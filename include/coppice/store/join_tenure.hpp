// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/join_tenure.hpp: the way of a thread that has the turn into a tenure.
// Owns: whether it joins the one of its handle or begins one, and when others come first.
// Invariant: a tenure that failed is not joined. Whoever waits too long has taken nothing.

#include <coppice/error.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/courtesy.hpp>
#include <coppice/store/store.hpp>
#include <coppice/store/tenure.hpp>

#include <memory>
#include <thread>

namespace coppice::inline COPPICE_ABI::store {

/// Joins the tenure of this handle, or begins one. REQUIRES: the turn.
/// @return null where the deadline passed. @throws error; then nothing is held
template <storage::medium Medium>
[[nodiscard]] std::shared_ptr<tenure<Medium>> join_tenure(
    std::shared_ptr<store<Medium>> const& owner, storage::deadline until) {
    auto& manners = owner->manners();
    auto const is_due = manners.is_due(courtesy::clock::now());
    auto running = owner->running_tenure().lock();
    // Who keeps it open may be this very thread, which must not wait for itself.
    if (running && (!is_due || running->is_held_open())) {
        try {
            running->check_sound();
        } catch (error const&) {
            owner->kept().keep({}); // what was deferred is never written: others may have the lock
            throw;
        }
        owner->lock()->bind(std::this_thread::get_id());
        return running;
    }
    running.reset();
    auto const lock = owner->lock();
    auto const rests =
        is_due && (!until || *until > courtesy::clock::now() + courtesy::pause_length);
    if (rests) {
        if (!lock->acquire(until)) return {}; // those who are in the tenure end it
        lock->release();
        std::this_thread::sleep_for(courtesy::pause_length);
    }
    if (!lock->acquire(until)) return {};
    try {
        running = std::make_shared<tenure<Medium>>(owner);
    } catch (...) {
        lock->release();
        throw;
    }
    owner->running_tenure() = running;
    manners.after_lock(courtesy::clock::now(), rests);
    return running;
}

} // namespace coppice::inline COPPICE_ABI::store
