// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/store.hpp: one open database as its readers see it.
// Owns: opening and making, the state published last, and when a newer one is looked for.
// Invariant: what `current` returns never goes back in time. Opening an existing database and
//   reading write nothing. Thread safety: all functions; `current` waits for nobody while no other
//   process has committed.

#include <coppice/error.hpp>
#include <coppice/format/live_page.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/held_lock.hpp>
#include <coppice/storage/turn.hpp>
#include <coppice/store/clock.hpp>
#include <coppice/store/courtesy.hpp>
#include <coppice/store/kept_tenure.hpp>
#include <coppice/store/last_tenure.hpp>
#include <coppice/store/old_file.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/postponed.hpp>
#include <coppice/store/recovery.hpp>
#include <coppice/store/replaced_files.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/slot_keeper.hpp>
#include <coppice/tell.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace coppice::inline COPPICE_ABI::store {

template <storage::medium Medium> class tenure;

/// An open database.
template <storage::medium Medium> class store {
  public:
    using storage_type = typename Medium::storage_type;
    using lock_type = typename Medium::lock_type;
    using file_type = opened_file<storage_type>;

    /// Opens, or makes, what the options say. @throws error; then nothing is open or left behind,
    ///   but for a whole empty database whose name alone could not be synced
    store(Medium medium, options chosen)
        : medium_(std::move(medium)), options_(within_limits(std::move(chosen))) {
        if (options_.read_only) {
            lock_ = medium_.reader_lock();
            file_ = recognise(medium_.open(storage::access::read_only), options_.verify, path());
        } else {
            // The file is looked at first, so that a failure leaves no lock file behind.
            auto const exists = open_existing();
            lock_ = medium_.lock();
            poison_count_ = lock_->poison_count();
            if (!exists) make();
        }
        load_first();
    }

    store(store const&) = delete;
    store& operator=(store const&) = delete;

    [[nodiscard]] std::string const& path() const noexcept { return medium_.path(); }
    [[nodiscard]] options const& chosen() const noexcept { return options_; }
    [[nodiscard]] Medium& medium() noexcept { return medium_; }
    [[nodiscard]] std::shared_ptr<lock_type> const& lock() const noexcept { return lock_; }
    [[nodiscard]] std::uint64_t poison_count() const noexcept { return poison_count_; }
    /// Which of this handle's threads may append.
    [[nodiscard]] storage::turn& turn() noexcept { return turn_; }
    /// The time for which this handle has the lock, if it has. REQUIRES: the turn.
    [[nodiscard]] std::weak_ptr<tenure<Medium>>& running_tenure() noexcept { return tenure_; }
    /// What the last of these knew. REQUIRES: the lock.
    [[nodiscard]] auto& last() noexcept { return last_; }
    /// What is kept while commits are deferred.
    [[nodiscard]] kept_tenure<tenure<Medium>>& kept() noexcept { return kept_; }
    /// What compactions have replaced. REQUIRES: the lock of compactions.
    [[nodiscard]] old_file& old() noexcept { return old_; }
    /// When others may have the lock.
    [[nodiscard]] courtesy& manners() noexcept { return manners_; }
    /// What opening had to pass over, if anything.
    [[nodiscard]] std::optional<recovery_info> const& recovery() const noexcept {
        return recovery_;
    }
    [[nodiscard]] std::uint64_t now_us() const {
        return to_microseconds(options_.clock ? options_.clock()
                                              : std::chrono::system_clock::now());
    }

    /// The newest commit whose promise was kept.
    /// @param looks without it the file is meant: what was postponed need not become a tree
    [[nodiscard]] revision_ptr current(bool looks = true) {
        if (looks) look_at_postponed();
        auto newest = published_.load();
        if (page_believed_.load(std::memory_order_acquire) &&
            format::load_visible(lock_->page()) == visible_of(*newest)) {
            return newest;
        }
        // While it is deferred nobody else commits.
        return newest->is_deferred() ? newest : refresh(false);
    }

    /// The newest commit that is whole, also one that a power cut may still take back.
    [[nodiscard]] revision_ptr latest() {
        look_at_postponed();
        return refresh(true);
    }

    /// May a mutex be waited for? In a fork the thread that has it is not there.
    [[nodiscard]] bool may_wait() const { return lock_ == nullptr || !lock_->is_forked(); }

    /// The newest state that this handle has shown, without looking for a newer one.
    [[nodiscard]] revision_ptr shown() const noexcept { return published_.load(); }

    /// The file that is open now. For the writer, and for those who only count.
    [[nodiscard]] file_type file() const {
        std::scoped_lock const guard(reload_);
        return file_;
    }

    /// Shows a state that this process has committed, unless a newer one was deferred while the
    /// device worked. Called by the writer, under its lock.
    void publish(revision_ptr const& next, file_type file) {
        std::scoped_lock const guard(reload_);
        if (file.image->identity != file_.image->identity) remember_replaced();
        file_ = std::move(file);
        auto const shown = published_.load();
        auto const is_newer = next->record().commit_id >= shown->record().commit_id;
        if (is_newer || !shown->is_deferred()) published_.store(next);
        page_believed_.store(believed_page().has_value(), std::memory_order_release);
        if (watcher_) watcher_(*next);
    }

    /// Calls with each state that this process has committed, under a lock: it must only take note.
    void watch(std::function<void(revision const&)> watcher) {
        std::scoped_lock const guard(reload_);
        watcher_ = std::move(watcher);
    }

    /// Shows a state that is in memory alone. Called by the writer, under its lock.
    void show_deferred(revision_ptr next) noexcept {
        std::scoped_lock const guard(reload_);
        published_.store(std::move(next));
    }

    /// Deferred commits that nobody has looked at. Where that is to be done by the writer:
    [[nodiscard]] postponed_commits& postponed() noexcept { return postponed_; }
    [[nodiscard]] revision_ptr take_postponed() {
        return postponed_.take([this](revision_ptr const& state) { show_deferred(state); });
    }

    /// What was durable when this handle first looked is nobody's news.
    void note_first_durable(std::uint64_t id) noexcept {
        std::uint64_t none = 0;
        durable_noted_.compare_exchange_strong(none, id);
    }
    /// Tells `on_durable` that all commits up to this one are durable, where that is new.
    void tell_durable(std::uint64_t id) noexcept {
        auto noted = durable_noted_.load(std::memory_order_relaxed);
        while (noted < id && !durable_noted_.compare_exchange_weak(noted, id)) continue;
        if (noted < id) tell(options_.events, &events::on_durable, commit_id{id});
    }

    /// The live page, if it speaks of the file that is open.
    [[nodiscard]] std::optional<format::live_page> believed_page(file_type const& file) const {
        if (!lock_ || lock_->page() == nullptr) return {};
        auto page = format::load_live_page(lock_->page());
        if (!page) return {};
        auto const& image = *file.image;
        auto const ours =
            page->boot_id == lock_->identity().boot_id && page->uuid == image.header.uuid &&
            page->generation == image.header.generation && page->device == image.identity.device &&
            page->inode == image.identity.inode;
        return ours ? page : std::nullopt;
    }

    /// Was the live page last written before the machine was last started? Then everything that is
    /// read comes from the device.
    [[nodiscard]] bool page_of_other_boot() const {
        if (lock_->page() == nullptr) return false;
        auto const page = format::load_live_page(lock_->page());
        return page && page->boot_id != lock_->identity().boot_id;
    }

    /// Opens what is at the path now. @throws errc::file_replaced if that is another database
    [[nodiscard]] file_type reopen(storage::access how) {
        auto file = recognise(medium_.open(how), options_.verify, path());
        if (file.header().uuid != this->file().header().uuid) {
            throw error(errc::file_replaced, "the path names another database now", path());
        }
        return file;
    }

    /// Bytes of replaced files that snapshots of this process still pin.
    [[nodiscard]] std::uint64_t pinned_bytes() const {
        std::scoped_lock const guard(reload_);
        return replaced_.pinned_bytes();
    }

    [[nodiscard]] static format::visible_state visible_of(revision const& state) noexcept {
        return {state.record().commit_id, format::file_tag_of(state.image().header)};
    }

  private:
    [[nodiscard]] std::optional<format::live_page> believed_page() const {
        return believed_page(file_);
    }

    void look_at_postponed() {
        if (!postponed_.any()) return;
        postponed_.look([this](revision_ptr const& state) { show_deferred(state); }, may_wait());
    }

    void remember_replaced() noexcept {
        try {
            replaced_.remember(file_.image->verified, file_.storage->size());
        } catch (std::exception const&) { // the new file stands already; only a figure is lost
        }
    }

    [[nodiscard]] bool open_existing();
    void make();
    void load_first();
    [[nodiscard]] revision_ptr refresh(bool also_unsafe);
    void follow_compaction();
    [[nodiscard]] bool nothing_new();
    [[nodiscard]] revision_ptr load(bool also_unsafe);

    Medium medium_;
    options options_;
    std::shared_ptr<lock_type> lock_;
    std::uint64_t poison_count_ = 0;
    storage::turn turn_;
    std::weak_ptr<tenure<Medium>> tenure_;
    last_tenure<storage_type, lock_type> last_;
    kept_tenure<tenure<Medium>> kept_;
    std::atomic<std::uint64_t> durable_noted_{0};
    courtesy manners_{options_.longest_run};
    std::optional<recovery_info> recovery_;
    mutable std::mutex reload_; // for file_, replaced_ and watcher_; no reader takes it
    file_type file_;
    std::function<void(revision const&)> watcher_;
    slot_pair seen_slots_;
    replaced_files replaced_;
    published<revision> published_;
    postponed_commits postponed_;
    std::atomic<bool> page_believed_{false};
    old_file old_;
};

/// Opens what is at the path, if the options want that.
/// @return false if a database is to be made
template <storage::medium Medium> bool store<Medium>::open_existing() {
    auto const mode = options_.create;
    std::shared_ptr<storage_type> standing;
    try {
        standing = medium_.open(storage::access::read_write);
    } catch (error const& e) {
        if (e.kind() != errc::not_found || mode == create::never) throw;
        return false;
    }
    if (mode == create::must) {
        throw error(errc::already_exists, "create::must was asked for", path());
    }
    // An empty file is what `touch` and temporary file makers leave: there is no database yet.
    auto const empty = standing->size() == 0 && mode != create::never;
    if (empty || mode == create::replace) return false;
    file_ = recognise(std::move(standing), options_.verify, path());
    return true;
}

/// Makes a database atomically: a companion file with everything, sync, rename, sync of the name.
template <storage::medium Medium> void store<Medium>::make() {
    storage::held_lock const held(*lock_);
    if (open_existing()) return; // somebody made it while we waited
    auto const header = fresh_header(options_.nodes, {medium_.random(), medium_.random()});
    commit_record record;
    record.commit_id = 1;
    record.time_us = now_us();
    record.begin_offset = format::data_begin_offset;
    record.data_summed = false;
    record.nonce = medium_.random();
    auto fresh = medium_.fresh();
    superblock first;
    try {
        first.counter = 1;
        first.boot_id = lock_->identity().boot_id;
        first = seal_fresh_file(*fresh, header, record, format::data_begin_offset, first);
        medium_.replace(*fresh);
    } catch (...) {
        try {
            static_cast<void>(medium_.discard_fresh());
        } catch (error const&) { // the first failure is the one to tell
        }
        throw;
    }
    // Where this fails the database stays: it is whole, others may have it open, and what it took
    // the place of is gone. The first commit on it syncs the name again (R8).
    medium_.sync_name();
    file_ = recognise(std::move(fresh), options_.verify, path());
    try {
        slot_keeper<storage_type, lock_type> slots(file_, lock_, first);
        slots.set_visible({record.commit_id, format::file_tag_of(header)});
        slots.mark_durable();
        slots.write_page(false);
    } catch (error const&) { // without the page the first writer only looks more closely
    }
}

template <storage::medium Medium> void store<Medium>::load_first() {
    // A compaction of another process may make the page one of another file at any moment: what was
    // believed once is not asked again, or nothing at all might be published.
    auto const was_believed = believed_page().has_value();
    if (options_.recovery == coppice::recovery::refuse || !was_believed) {
        auto found = recover(*file_.storage, file_.header(), false, path());
        if (found.any_rejected()) {
            recovery_ = recovery_info{{found.record.commit_id},
                                      std::uint64_t{found.rejected[0]} + found.rejected[1],
                                      "a superblock slot did not hold; the other one was taken"};
            if (options_.recovery == coppice::recovery::refuse) {
                throw error(errc::recovery_needed, recovery_->reason, path());
            }
        }
        published_.store(
            file_.state(found.record, record_of(found.slot()), found.slot().end_offset));
    }
    auto const believed = was_believed || believed_page().has_value();
    page_believed_.store(believed, std::memory_order_release);
    if (believed) published_.store(load(false));
}

template <storage::medium Medium> revision_ptr store<Medium>::refresh(bool also_unsafe) {
    std::scoped_lock const guard(reload_);
    auto shown = published_.load();
    if (shown->is_deferred()) return shown;
    follow_compaction();
    page_believed_.store(believed_page().has_value(), std::memory_order_release);
    if (!page_believed_.load(std::memory_order_acquire) && nothing_new()) return shown;
    auto next = load(also_unsafe);
    auto const same_file = next->image().identity == shown->image().identity;
    if (same_file && next->record().commit_id <= shown->record().commit_id) return shown;
    published_.store(next);
    return next;
}

/// Moves over to the file that a compaction has put at the path.
template <storage::medium Medium> void store<Medium>::follow_compaction() {
    if (page_believed_.load(std::memory_order_acquire) && believed_page()) return;
    if (medium_.compare(*file_.storage) != storage::standing::replaced) return;
    auto const how = options_.read_only ? storage::access::read_only : storage::access::read_write;
    auto next = recognise(medium_.open(how), options_.verify, path());
    // Another database at the path is not ours to show; readers stay, writers are told.
    if (next.header().uuid != file_.header().uuid) return;
    if (next.header().generation <= file_.header().generation) return;
    remember_replaced();
    file_ = std::move(next);
}

/// Are the slots those that were looked at last? Saves a reader without a live page the check of
/// the chain at every call.
template <storage::medium Medium> bool store<Medium>::nothing_new() {
    auto const slots = read_slots(*file_.storage, file_.header());
    auto const same =
        slots == seen_slots_ && file_.image->identity == published_.load()->image().identity;
    seen_slots_ = slots;
    return same;
}

/// Reads the state that readers may see. REQUIRES: `reload_` is held, or nobody else is here yet.
template <storage::medium Medium> revision_ptr store<Medium>::load(bool also_unsafe) {
    auto const believed = believed_page().has_value();
    auto found = recover(*file_.storage, file_.header(), believed, path());
    auto at = record_of(found.slot());
    auto end_offset = found.slot().end_offset;
    auto const visible =
        believed && !also_unsafe ? format::load_visible(lock_->page()).commit_id : 0;
    while (visible != 0 && found.record.commit_id > visible && !found.record.previous.is_null()) {
        at = found.record.previous;
        auto previous = read_record(*file_.storage, at);
        if (!previous) {
            // A failed sync has lost what lazy commits had shown: what holds by itself is left.
            found = recover(*file_.storage, file_.header(), false, path());
            at = record_of(found.slot());
            end_offset = found.slot().end_offset;
            break;
        }
        found.record = *std::move(previous);
        end_offset = at.offset + format::encoded_bytes(found.record);
    }
    return file_.state(std::move(found.record), at, end_offset);
}

} // namespace coppice::inline COPPICE_ABI::store
