// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/file_medium.hpp: the place of a database in a file system; models `medium`.
// Owns: the folder, and the names in it: the file, `<name>.lock`, `<name>.compact`,
//   `<name>.lock2`.
// Invariants: the path is resolved once, and everything is done relative to the open folder.
//   Nothing but a plain file is ever opened, written over or removed, no link is followed, and
//   nothing waits. Copies share everything.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/file_storage.hpp>
#include <coppice/storage/path_resolution.hpp>
#include <coppice/storage/posix.hpp>
#include <coppice/storage/process.hpp>
#include <coppice/storage/writer_lock.hpp>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::storage {

/// The place of a database in a file system. See the concept `medium` for what each call does.
/// Any thread may call anything. Extended attributes and access control lists of the database are
/// not taken over by a fresh file, only mode, group and owner.
class file_medium {
  public:
    using storage_type = file_storage;
    using lock_type = path_lock;

    /// @param path of the database, which need not exist; links are followed now, once
    /// @param create_directories make the folders above it
    /// @param read_ahead see file_storage
    /// Throws `errc::unusable_path`, `errc::not_found` without the folder, `errc::io_failed`.
    file_medium(std::filesystem::path const& path, bool create_directories,
                bool read_ahead = true) {
        auto const resolved = resolve_path(path, fresh_suffix.size(), create_directories);
        auto const slash = resolved.folder.ends_with('/') ? "" : "/";
        auto made = std::make_shared<place>();
        made->path = resolved.folder + slash + resolved.name;
        made->name = resolved.name;
        made->fresh_name = resolved.name + std::string(fresh_suffix);
        // A folder may be searchable and writable without being readable.
        made->folder = std::make_shared<posix::descriptor const>(posix::open_directory(
            resolved.folder, "opening the folder of the database", made->path));
        made->read_ahead = read_ahead;
        place_ = std::move(made);
    }

    [[nodiscard]] std::shared_ptr<file_storage> open(access how) {
        // Looked at first: to open a device may do something.
        auto const found = status_of_name(place_->name);
        if (!found) fail_to_open(ENOENT);
        require_plain(*found);
        int const flags = (how == access::read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK;
        auto opened = posix::try_open_at(folder(), place_->name.c_str(), flags);
        if (!opened.file) fail_to_open(opened.failure);
        auto const status = posix::status_of(opened.file.get(), path());
        require_plain(status);
        if (how == access::read_write && status.links > 1) {
            throw error(errc::hard_linked, "open it read-only, or remove its other names", path());
        }
        return std::make_shared<file_storage>(std::move(opened.file), path(), place_->read_ahead);
    }

    [[nodiscard]] std::shared_ptr<file_storage> fresh() {
        static_cast<void>(discard_fresh());
        auto const model = status_of_name(place_->name);
        // Nobody may look in before the rights are those of the database.
        auto file =
            posix::open_at(folder(), place_->fresh_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                           model ? 0600 : 0666, "making a fresh file beside the database", path());
        try {
            if (model) posix::take_over_rights(file.get(), *model, path());
            return std::make_shared<file_storage>(std::move(file), path(), place_->read_ahead);
        } catch (...) {
            ::unlinkat(folder(), place_->fresh_name.c_str(), 0);
            throw;
        }
    }

    void replace(file_storage const& fresh) {
        if (companion() != fresh.identity()) {
            posix::fail(ENOENT, "the fresh file was taken away", path());
        }
        posix::rename_at(folder(), place_->fresh_name, place_->name, path());
    }

    void sync_name() { posix::sync_directory(folder(), path()); }

    [[nodiscard]] bool discard_fresh() { return remove_plain(place_->fresh_name); }
    [[nodiscard]] std::optional<file_identity> companion() const {
        auto const found = status_of_name(place_->fresh_name);
        return found ? std::optional(found->identity) : std::nullopt;
    }

    [[nodiscard]] standing compare(file_storage const& opened) const {
        auto const found = status_of_name(place_->name);
        if (!found) return standing::missing;
        bool const same = found->identity == opened.identity();
        return same ? standing::same : standing::replaced;
    }

    [[nodiscard]] bool remove() { return remove_plain(place_->name); }

    [[nodiscard]] std::shared_ptr<path_lock> lock() {
        return path_lock::for_writing(lock_file(".lock"), status_of_name(place_->name));
    }
    [[nodiscard]] std::shared_ptr<path_lock> reader_lock() {
        return path_lock::for_reading(lock_file(".lock"));
    }
    [[nodiscard]] std::shared_ptr<path_lock> compaction_lock() {
        return path_lock::for_writing(lock_file(".lock2"), status_of_name(place_->name));
    }

    [[nodiscard]] std::uint64_t random() { return current_process().randoms.draw(); }
    [[nodiscard]] std::string const& path() const noexcept { return place_->path; }

  private:
    static constexpr std::string_view fresh_suffix = ".compact";

    struct place {
        std::shared_ptr<posix::descriptor const> folder;
        std::string path;
        std::string name;
        std::string fresh_name;
        bool read_ahead = true;
    };

    [[nodiscard]] int folder() const noexcept { return place_->folder->get(); }
    [[nodiscard]] lock_place lock_file(char const* suffix) const {
        return {place_->folder, place_->name + suffix, place_->path + suffix};
    }
    [[nodiscard]] std::optional<posix::file_status> status_of_name(std::string const& name) const {
        return posix::status_at(folder(), name, path());
    }

    void require_plain(posix::file_status const& status) const {
        if (!status.is_plain_file()) {
            throw error(errc::unusable_path, "what is at the path is not a plain file", path());
        }
    }

    [[nodiscard]] bool remove_plain(std::string const& name) {
        auto const found = status_of_name(name);
        if (!found) return false;
        if (!found->is_plain_file()) {
            throw error(errc::unusable_path, "not a plain file, so it is left alone: " + name,
                        path());
        }
        return posix::unlink_at(folder(), name, path());
    }

    [[noreturn]] void fail_to_open(int failure) const {
        if (failure == ENOENT) {
            throw error(errc::not_found, "there is no file at the path", path());
        }
        bool const exchanged = failure == ELOOP || failure == EISDIR || failure == ENXIO;
        posix::fail(failure, "opening the database", path(),
                    exchanged ? errc::unusable_path : errc::io_failed);
    }

    std::shared_ptr<place const> place_;
};

static_assert(medium<file_medium>);

} // namespace coppice::storage
