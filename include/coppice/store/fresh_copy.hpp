// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/store/fresh_copy.hpp: a fresh file that is a copy of one state, and follows to later
// ones, of which some stay as commits of their own.
// Owns: the dense copy (cursor in, builder out), the catch-up (differences in, `apply` out), the
//   records of the commits that stay, and what of the fresh file is written.
// Invariant: the trees are those of `state()`, but for entries that the filter has dropped, and
//   tags of commits that did not stay. Nobody else knows of the fresh file, so a failure leaves
//   nothing to be undone in it. What a catch-up costs is proportional to what has changed, so
//   commits share what they shared. Belongs to one thread.

#include <coppice/error.hpp>
#include <coppice/options.hpp>
#include <coppice/storage/concepts.hpp>
#include <coppice/store/appended_source.hpp>
#include <coppice/store/appender.hpp>
#include <coppice/store/next_record.hpp>
#include <coppice/store/opened_file.hpp>
#include <coppice/store/prefetcher.hpp>
#include <coppice/store/revision.hpp>
#include <coppice/store/tags.hpp>
#include <coppice/tree/apply.hpp>
#include <coppice/tree/builder.hpp>
#include <coppice/tree/cursor.hpp>
#include <coppice/tree/diff.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace coppice::inline COPPICE_ABI::store {

/// Which entries a copy takes, and who watches it.
struct copy_hooks {
    /// Is an entry kept? Empty keeps all. The value is whole, also where it is large.
    std::function<bool(std::string_view key, std::string_view value)> keep = {};
    /// Called now and then with the entries copied so far; ends the copy by throwing.
    std::function<void(std::uint64_t entries)> watch = {};
    /// Do threads read ahead of the copy, where the storage takes helpers?
    bool by_threads = false;
};

namespace detail {

/// The same bytes in the leaf: for values out of line, the same reference within one file.
struct same_stored {
    [[nodiscard]] bool operator()(format::stored_value const& a,
                                  format::stored_value const& b) const noexcept {
        return a.out_of_line == b.out_of_line && a.raw == b.raw;
    }
};

/// Takes entries over into another file, one at a time.
template <storage::storage Storage> class entry_copier {
  public:
    entry_copier(revision const& from, appender<Storage>& to, copy_hooks const& hooks) noexcept
        : from_(from), to_(to), hooks_(hooks) {}

    /// @return what a leaf of the other file holds, until the next call; null for what is dropped
    [[nodiscard]] format::stored_value const* take(std::string_view key,
                                                   format::stored_value const& stored) {
        if (hooks_.keep && !hooks_.keep(key, from_.value(stored))) return nullptr;
        taken_ = stored;
        if (stored.out_of_line) {
            to_.add_extent(from_.value(stored)).encode(reference_.data());
            taken_.raw = as_text(reference_);
        }
        return &taken_;
    }
    void watch() {
        constexpr std::uint64_t most_entries = 4096;
        constexpr auto most_bytes = std::uint64_t{16} << 20U;
        auto const is_due =
            seen_ % most_entries == 0 || to_.end_offset() - watched_end_ >= most_bytes;
        ++seen_;
        if (!is_due || !hooks_.watch) return;
        watched_end_ = to_.end_offset();
        hooks_.watch(seen_ - 1);
    }

  private:
    revision const& from_;
    appender<Storage>& to_;
    copy_hooks const& hooks_;
    format::stored_value taken_;
    std::array<std::byte, format::extent_ref::encoded_bytes> reference_{};
    std::uint64_t seen_ = 0;
    std::uint64_t watched_end_ = to_.end_offset();
};

/// The changes between two trees of one file as edits of a tree in another. Models `edit_source`.
template <storage::storage Storage> class copied_changes {
  public:
    copied_changes(tree::subtree_walk<revision> const& before,
                   tree::subtree_walk<revision> const& after, entry_copier<Storage>& copier)
        : changes_(before, after, tree::stores::one, {}), copier_(copier) {
        take();
    }

    [[nodiscard]] bool done() const noexcept { return changes_.done(); }
    [[nodiscard]] std::string_view key() const noexcept { return changes_.key(); }
    /// Null erases, also what the filter has dropped before and is not there.
    [[nodiscard]] format::stored_value const* value() const noexcept { return value_; }
    void next() {
        changes_.next();
        take();
    }

  private:
    void take() {
        if (done()) return;
        copier_.watch();
        auto const after = changes_.after();
        value_ = after ? copier_.take(key(), *after) : nullptr;
    }

    tree::diff<revision, same_stored> changes_;
    entry_copier<Storage>& copier_;
    format::stored_value const* value_ = nullptr;
};

} // namespace detail

/// A copy in a fresh file.
template <storage::storage Storage> class fresh_copy {
  public:
    using file_type = opened_file<Storage>;

    /// Copies a state densely.
    /// @param fresh an empty file, @param header what it begins with
    /// @throws errc::corrupt, errno of the system, and what the hooks throw
    fresh_copy(std::shared_ptr<Storage> fresh, format::file_header const& header,
               revision_ptr state, copy_hooks const& hooks)
        : state_(std::move(state)) {
        fresh->write(0, format::encode(header));
        auto const& image = state_->image();
        file_ = recognise(std::move(fresh), image.verify, image.path);
        appender<Storage> to(*file_.storage, end_offset_);
        to.spill();
        system_ = copied(state_->system(), to, tags_that_stay());
        user_ = copied(state_->user(), to, hooks);
        to.flush();
        end_offset_ = to.end_offset();
    }

    /// What it is a copy of.
    [[nodiscard]] revision_ptr const& state() const noexcept { return state_; }
    /// The file, sealed or not.
    [[nodiscard]] file_type& file() noexcept { return file_; }
    [[nodiscard]] tree_ref const& user() const noexcept { return user_; }
    [[nodiscard]] tree_ref const& system() const noexcept { return system_; }
    [[nodiscard]] std::uint64_t end_offset() const noexcept { return end_offset_; }

    /// Makes it a copy of another state of the same file, by what has changed between the two.
    /// @throws as the constructor; then it can only be thrown away
    void catch_up(revision_ptr const& next, copy_hooks const& hooks) {
        appender<Storage> to(*file_.storage, end_offset_);
        to.spill();
        commit_record record;
        record.user = user_;
        auto const base = file_.state(std::move(record), {}, end_offset_);
        system_ = followed(*base, system_, {state_->system(), next->system()}, *next, to,
                           tags_that_stay());
        user_ = followed(*base, user_, {state_->user(), next->user()}, *next, to, hooks);
        to.flush();
        end_offset_ = to.end_offset();
        state_ = next;
    }

    /// Lets what it is a copy of now stay as a commit of its own, with its number, time and note.
    /// @param nonce random
    void keep(std::uint64_t nonce) {
        auto record = state_->record();
        record.nonce = nonce;
        record = placed(std::move(record));
        auto const image = format::encode(record);
        record_ref const at{end_offset_, format::record_checksum(image)};
        file_.storage->write(end_offset_, image);
        end_offset_ += image.size();
        kept_ids_.push_back(record.commit_id);
        last_ = file_.state(std::move(record), at, end_offset_);
    }

    /// Ends the file: see seal_fresh_file. One sync. @return the state that it holds, and its slot
    [[nodiscard]] std::pair<revision_ptr, superblock> seal(commit_record record,
                                                           superblock const& slot) {
        record = placed(std::move(record));
        auto const written =
            seal_fresh_file(*file_.storage, file_.header(), record, end_offset_, slot);
        return {file_.state(std::move(record), record_of(written), written.end_offset), written};
    }

  private:
    /// A record as it is in this file: behind those that stay, with the trees of the copy.
    [[nodiscard]] commit_record placed(commit_record record) const {
        record.user = user_;
        record.system = system_;
        record.kept = true;
        record.data_summed = false;
        record.data_checksum = 0;
        record.begin_offset = format::data_begin_offset;
        record.previous = record.skip = {};
        record.index = 0;
        if (!last_) return record;
        record.previous = last_->at();
        record.index = last_->record().index + 1;
        place_record(record, *last_, durability::two_sync, last_->limit_offset(), record.nonce);
        return record;
    }

    /// A tag goes with its commit, so that no state of the file names what is not there.
    [[nodiscard]] copy_hooks tags_that_stay() const {
        copy_hooks hooks;
        hooks.keep = [this](std::string_view key, std::string_view value) {
            return !key.starts_with(detail::tag_prefix) ||
                   std::binary_search(kept_ids_.begin(), kept_ids_.end(),
                                      detail::id_in(value).value);
        };
        return hooks;
    }

    [[nodiscard]] tree_ref copied(tree_ref const& tree, appender<Storage>& to,
                                  copy_hooks const& hooks) const {
        appended_source<Storage> const source(nullptr, to, *file_.storage);
        tree::builder builder(source, to, file_.header().nodes);
        detail::entry_copier<Storage> copier(*state_, to, hooks);
        tree::cursor<revision> cursor(*state_, tree);
        std::optional<prefetcher> ahead;
        if (storage::takes_helpers<Storage> && hooks.by_threads) ahead.emplace(*state_, tree);
        std::uint64_t passed = 0;
        for (cursor.first(); cursor.valid(); cursor.next()) {
            if (ahead) ahead->reached(passed++);
            copier.watch();
            auto const* const value = copier.take(cursor.key(), cursor.value());
            if (value != nullptr) builder.add(cursor.key(), *value);
        }
        return builder.finish();
    }

    [[nodiscard]] tree_ref followed(revision const& base, tree_ref const& copy,
                                    std::pair<tree_ref, tree_ref> const& change,
                                    revision const& next, appender<Storage>& to,
                                    copy_hooks const& hooks) const {
        tree::key_limits const all;
        detail::entry_copier<Storage> copier(next, to, hooks);
        detail::copied_changes<Storage> edits({*state_, change.first, all},
                                              {next, change.second, all}, copier);
        appended_source<Storage> const source(&base, to, *file_.storage);
        auto without_patches = file_.header().nodes;
        without_patches.patches = false;
        return tree::apply(source, to, without_patches, copy, edits);
    }

    revision_ptr state_;
    file_type file_;
    tree_ref user_;
    tree_ref system_;
    std::uint64_t end_offset_ = format::data_begin_offset;
    revision_ptr last_;                   // the newest commit that stays, in this file
    std::vector<std::uint64_t> kept_ids_; // ascending
};

} // namespace coppice::inline COPPICE_ABI::store
