// STAND-IN until the real memory_medium.hpp of the storage room arrives; overwrite me.
#pragma once
#include <coppice/storage/concepts.hpp>
#include <coppice/storage/process.hpp>
#include <coppice/storage/turn.hpp>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
namespace coppice::storage {
class memory_storage {
  public:
    explicit memory_storage(std::uint64_t inode) : inode_(inode) {}
    std::uint64_t size() const { std::scoped_lock l(m_); return n_; }
    std::size_t read(std::uint64_t o, mutable_bytes b) const {
        std::scoped_lock l(m_);
        if (o >= n_) return 0;
        auto k = static_cast<std::size_t>(std::min<std::uint64_t>(b.size(), n_ - o));
        std::memcpy(b.data(), d_.get() + o, k);
        return k;
    }
    void write(std::uint64_t o, bytes b) {
        std::scoped_lock l(m_);
        if (!b.empty()) std::memcpy(d_.get() + o, b.data(), b.size());
        n_ = std::max<std::uint64_t>(n_, o + b.size());
    }
    void sync() {}
    void truncate(std::uint64_t k) { std::scoped_lock l(m_); n_ = k; }
    mapped_view map(std::uint64_t) const { return {d_, capacity}; }
    file_identity identity() const { return {0, inode_}; }
  private:
    static constexpr std::size_t capacity = std::size_t{1} << 28U;
    std::shared_ptr<std::byte> d_{static_cast<std::byte*>(std::calloc(1, capacity)), std::free};
    mutable std::mutex m_;
    std::uint64_t n_ = 0;
    std::uint64_t inode_;
};
class memory_lock {
  public:
    bool acquire(deadline u) { return t_.acquire(u, "memory"); }
    void release() noexcept { t_.release(); }
    void check_held() {}
    std::byte const* page() const { return page_; }
    void write_page(std::uint64_t o, bytes b) {
        for (std::size_t i = 0; i < b.size(); i += 8) {
            std::uint64_t w;
            std::memcpy(&w, b.data() + i, 8);
            std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(page_ + o + i)).store(w);
        }
    }
    process_identity const& identity() const { return id_; }
    void poison() noexcept { ++count_; }
    std::uint64_t poison_count() const { return count_; }
  private:
    turn t_;
    alignas(8) std::byte page_[4096]{};
    process_identity id_;
    std::atomic<std::uint64_t> count_{0};
};
class memory_medium {
  public:
    using storage_type = memory_storage;
    using lock_type = memory_lock;
    std::shared_ptr<memory_storage> open(access) {
        if (!p_->current) throw error(errc::not_found, "memory");
        return p_->current;
    }
    std::shared_ptr<memory_storage> fresh() { return p_->fresh = std::make_shared<memory_storage>(p_->inode++); }
    void replace(memory_storage&) { p_->current = std::move(p_->fresh); p_->fresh = nullptr; }
    void sync_name() {}
    bool discard_fresh() { return std::exchange(p_->fresh, nullptr) != nullptr; }
    standing compare(memory_storage const& s) const {
        if (!p_->current) return standing::missing;
        return p_->current->identity() == s.identity() ? standing::same : standing::replaced;
    }
    bool remove() { return std::exchange(p_->current, nullptr) != nullptr; }
    std::shared_ptr<memory_lock> lock() { return p_->lock; }
    std::shared_ptr<memory_lock> reader_lock() { return p_->lock; }
    std::string const& path() const { return p_->path; }
  private:
    struct place {
        std::shared_ptr<memory_storage> current, fresh;
        std::shared_ptr<memory_lock> lock = std::make_shared<memory_lock>();
        std::uint64_t inode = 1;
        std::string path = "memory";
    };
    std::shared_ptr<place> p_ = std::make_shared<place>();
};
static_assert(medium<memory_medium>);
} // namespace coppice::storage
