// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/storage/file_medium.hpp: a path and its companions.
// Owns: the folder of a database, the names in it: the file, `<name>.lock`, `<name>.compact`.
// Invariants: the path is resolved once, so symbolic links share a lock and a later chdir or rename
//   of the folder changes nothing; nothing but a plain file is ever opened, and a FIFO does not
//   hang. Models `medium`. Copies share everything.

#include <coppice/storage/concepts.hpp>
#include <coppice/storage/file_storage.hpp>
#include <coppice/storage/posix.hpp>
#include <coppice/storage/writer_lock.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace coppice::storage {

/// The place of a database in a file system.
class file_medium {
  public:
    using storage_type = file_storage;
    using lock_type = path_lock;

    /// @param path of the database; it need not exist
    /// @param create_directories make the folders above it
    /// Throws `errc::unusable_path`, `errc::not_found` without the folder, `errc::io_failed`.
    file_medium(std::filesystem::path const& path, bool create_directories) {
        try {
            if (create_directories && path.has_parent_path()) {
                std::filesystem::create_directories(path.parent_path());
            }
            auto const resolved = resolve(path);
            path_ = resolved.string();
            name_ = resolved.filename().string();
            auto folder = posix::try_open_at(AT_FDCWD, resolved.parent_path().c_str(),
                                             O_RDONLY | O_DIRECTORY);
            if (!folder.file) {
                posix::fail(folder.failure, "opening the folder of the database", path_,
                            folder.failure == ENOENT ? errc::not_found : errc::io_failed);
            }
            directory_ = std::make_shared<posix::descriptor const>(std::move(folder.file));
        } catch (std::filesystem::filesystem_error const& e) {
            auto const missing = e.code() == std::errc::no_such_file_or_directory;
            throw error(e.code(), "resolving the path of the database", path.string(),
                        missing ? errc::not_found : errc::unusable_path);
        }
        constexpr std::size_t longest_name = 255;
        if (name_.empty() || name_ == "." || name_ == ".." ||
            name_.size() + fresh_suffix.size() > longest_name) {
            throw error(errc::unusable_path, "the name must leave room for .compact", path_);
        }
    }

    [[nodiscard]] std::shared_ptr<file_storage> open(access how) {
        auto const flags = how == access::read_only ? O_RDONLY : O_RDWR;
        auto result =
            posix::try_open_at(directory_->get(), name_.c_str(), flags | O_NOFOLLOW | O_NONBLOCK);
        if (!result.file) {
            auto const kind = result.failure == ENOENT  ? errc::not_found
                              : result.failure == ELOOP ? errc::unusable_path
                              : result.failure == EISDIR || result.failure == ENXIO
                                  ? errc::unusable_path
                                  : errc::io_failed;
            posix::fail(result.failure, "opening the database", path_, kind);
        }
        auto const status = posix::status_of(result.file.get(), path_);
        if (!S_ISREG(status.st_mode)) {
            throw error(errc::unusable_path, "not a plain file", path_);
        }
        if (how == access::read_write && status.st_nlink > 1) {
            throw error(errc::hard_linked, "writing would part the names", path_);
        }
        return std::make_shared<file_storage>(std::move(result.file), path_);
    }

    [[nodiscard]] std::shared_ptr<file_storage> fresh() {
        static_cast<void>(discard_fresh());
        auto const model = posix::status_at(directory_->get(), name_, path_);
        auto file =
            posix::open_at(directory_->get(), fresh_name(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
                           0666, "making a fresh file", path_ + std::string(fresh_suffix));
        if (model && S_ISREG(model->st_mode)) posix::take_over_rights(file.get(), *model, path_);
        return std::make_shared<file_storage>(std::move(file), path_);
    }

    void replace(file_storage& fresh) {
        auto const standing = posix::status_at(directory_->get(), fresh_name(), path_);
        if (!standing || posix::identity_of(*standing) != fresh.identity()) {
            throw error(errc::io_failed, "the fresh file was taken away", path_);
        }
        posix::rename_at(directory_->get(), fresh_name(), name_, path_);
    }

    void sync_name() { posix::sync_directory(directory_->get(), path_); }

    [[nodiscard]] bool discard_fresh() {
        auto const standing = posix::status_at(directory_->get(), fresh_name(), path_);
        if (!standing) return false;
        if (!S_ISREG(standing->st_mode)) {
            throw error(errc::unusable_path, "something else stands where a fresh file would",
                        path_ + std::string(fresh_suffix));
        }
        return posix::unlink_at(directory_->get(), fresh_name(), path_);
    }

    [[nodiscard]] standing compare(file_storage const& opened) const {
        auto const status = posix::status_at(directory_->get(), name_, path_);
        if (!status) return standing::missing;
        return posix::identity_of(*status) == opened.identity() ? standing::same
                                                                : standing::replaced;
    }

    [[nodiscard]] bool remove() { return posix::unlink_at(directory_->get(), name_, path_); }

    [[nodiscard]] std::shared_ptr<path_lock> lock() {
        auto const database = posix::status_at(directory_->get(), name_, path_);
        return path_lock::for_writing(lock_place_of(), database);
    }
    [[nodiscard]] std::shared_ptr<path_lock> reader_lock() {
        return path_lock::for_reading(lock_place_of());
    }

    [[nodiscard]] std::string const& path() const noexcept { return path_; }

  private:
    static constexpr std::string_view fresh_suffix = ".compact";

    [[nodiscard]] std::string fresh_name() const { return name_ + std::string(fresh_suffix); }
    [[nodiscard]] lock_place lock_place_of() const {
        return {directory_, name_ + ".lock", path_ + ".lock"};
    }

    /// The path without symbolic links. The last part need not exist, also behind a link.
    [[nodiscard]] static std::filesystem::path resolve(std::filesystem::path path) {
        namespace fs = std::filesystem;
        constexpr int most_links = 40;
        for (int i = 0; i < most_links; ++i) {
            auto const folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
            auto const whole = fs::canonical(folder) / path.filename();
            if (!fs::is_symlink(fs::symlink_status(whole))) return whole;
            auto const target = fs::read_symlink(whole);
            path = target.is_absolute() ? target : whole.parent_path() / target;
        }
        throw error(std::make_error_code(std::errc::too_many_symbolic_link_levels),
                    "resolving the path of the database", path.string(), errc::unusable_path);
    }

    std::string path_;
    std::string name_;
    std::shared_ptr<posix::descriptor const> directory_;
};

static_assert(medium<file_medium>);

} // namespace coppice::storage
