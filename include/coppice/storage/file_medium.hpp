// STAND-IN until the real file_medium.hpp of the storage room arrives; overwrite me.
#pragma once
#include <coppice/storage/file_storage.hpp>
#include <coppice/storage/process.hpp>
#include <coppice/storage/turn.hpp>
#include <boost/interprocess/sync/file_lock.hpp>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
namespace coppice::storage {
class stand_in_lock {
  public:
    explicit stand_in_lock(std::string path)
        : path_(std::move(path)), fd_(posix::open_at(AT_FDCWD, path_, O_RDWR | O_CREAT, 0666, "lock", path_)) {
        if (posix::status_of(fd_.get(), path_).st_size < 4096) posix::truncate(fd_.get(), 4096, path_);
        page_ = map_file(fd_.get(), 4096, path_);
        lock_ = boost::interprocess::file_lock(name_of_descriptor(fd_.get()).c_str());
    }
    bool acquire(deadline u) {
        require_not_forked(id_.token, path_);
        if (!turn_.acquire(u, path_)) return false;
        while (!lock_.try_lock()) {
            if (u && std::chrono::steady_clock::now() >= *u) { turn_.release(); return false; }
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
        return true;
    }
    void release() noexcept { if (!forked(id_.token)) { lock_.unlock(); turn_.release(); } }
    void check_held() {
        require_not_forked(id_.token, path_);
        auto s = posix::status_at(AT_FDCWD, path_, path_);
        if (!s || posix::identity_of(*s) != posix::identity_of(posix::status_of(fd_.get(), path_)))
            throw error(errc::lock_lost, "lock file", path_);
    }
    std::byte const* page() const { return page_.data.get(); }
    void write_page(std::uint64_t o, bytes b) { require_not_forked(id_.token, path_); posix::write_at(fd_.get(), o, b, path_); }
    process_identity const& identity() const { return id_; }
    void poison() noexcept { ++count_; }
    std::uint64_t poison_count() const { return count_; }
  private:
    std::string path_;
    posix::descriptor fd_;
    boost::interprocess::file_lock lock_;
    mapped_view page_;
    turn turn_;
    process_identity id_ = current_process().identity;
    std::atomic<std::uint64_t> count_{0};
};
class file_medium {
  public:
    using storage_type = file_storage;
    using lock_type = stand_in_lock;
    file_medium(std::filesystem::path const& p, bool dirs) : path_(std::filesystem::weakly_canonical(p)) {
        if (dirs) std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
    }
    std::shared_ptr<file_storage> open(access a) {
        auto r = posix::try_open_at(AT_FDCWD, path_.c_str(), (a == access::read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK);
        if (!r.file) posix::fail(r.failure, "opening", path_, r.failure == ENOENT ? errc::not_found : errc::io_failed);
        return std::make_shared<file_storage>(std::move(r.file), path_);
    }
    std::shared_ptr<file_storage> fresh() {
        discard_fresh();
        return std::make_shared<file_storage>(posix::open_at(AT_FDCWD, path_ + ".compact", O_RDWR | O_CREAT | O_EXCL, 0666, "fresh", path_), path_);
    }
    void replace(file_storage&) { posix::rename_at(AT_FDCWD, path_ + ".compact", path_, path_); }
    void sync_name() { posix::sync_directory(posix::open_at(AT_FDCWD, std::filesystem::path(path_).parent_path(), O_PATH, 0, "dir", path_).get(), path_); }
    bool discard_fresh() { return posix::unlink_at(AT_FDCWD, path_ + ".compact", path_); }
    standing compare(file_storage const& s) const {
        auto st = posix::status_at(AT_FDCWD, path_, path_);
        if (!st) return standing::missing;
        return posix::identity_of(*st) == s.identity() ? standing::same : standing::replaced;
    }
    bool remove() { return posix::unlink_at(AT_FDCWD, path_, path_); }
    std::shared_ptr<stand_in_lock> lock() {
        static std::mutex m;
        static std::map<std::string, std::weak_ptr<stand_in_lock>> all;
        std::scoped_lock l(m);
        auto& w = all[path_];
        auto s = w.lock();
        if (!s) w = s = std::make_shared<stand_in_lock>(path_ + ".lock");
        return s;
    }
    std::shared_ptr<stand_in_lock> reader_lock() { return std::filesystem::exists(path_ + ".lock") ? lock() : nullptr; }
    std::string const& path() const { return path_; }
  private:
    std::string path_;
};
static_assert(medium<file_medium>);
} // namespace coppice::storage
