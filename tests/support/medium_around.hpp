// SPDX-License-Identifier: BSL-1.0
#pragma once
// A medium of tests around another one: its storages are wrapped, all else is passed on. Models
// `medium`; what derives from it adds its own to some of the calls.

#include <coppice/storage/concepts.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace support {

/// @tparam Storage has `inner()`, the storage it is around
template <typename Storage, coppice::storage::medium Inner> class medium_around {
  public:
    using storage_type = Storage;
    using lock_type = typename Inner::lock_type;
    using inner_storage = std::shared_ptr<typename Inner::storage_type>;

    [[nodiscard]] std::shared_ptr<Storage> open(coppice::storage::access how) {
        return wrap_(inner_.open(how));
    }
    [[nodiscard]] std::shared_ptr<Storage> fresh() { return wrap_(inner_.fresh()); }
    void replace(Storage const& fresh) { inner_.replace(fresh.inner()); }
    void sync_name() { inner_.sync_name(); }
    [[nodiscard]] bool discard_fresh() { return inner_.discard_fresh(); }
    [[nodiscard]] std::optional<coppice::storage::file_identity> companion() const {
        return inner_.companion();
    }
    [[nodiscard]] coppice::storage::standing compare(Storage const& opened) const {
        return inner_.compare(opened.inner());
    }
    [[nodiscard]] bool remove() { return inner_.remove(); }
    [[nodiscard]] std::shared_ptr<lock_type> lock() { return inner_.lock(); }
    [[nodiscard]] std::shared_ptr<lock_type> reader_lock() { return inner_.reader_lock(); }
    [[nodiscard]] std::uint64_t random() { return inner_.random(); }
    [[nodiscard]] std::shared_ptr<lock_type> compaction_lock() { return inner_.compaction_lock(); }
    [[nodiscard]] std::string const& path() const noexcept { return inner_.path(); }

  protected:
    /// @param wrap makes a storage around another one
    medium_around(Inner inner, std::function<std::shared_ptr<Storage>(inner_storage)> wrap)
        : inner_(std::move(inner)), wrap_(std::move(wrap)) {}

  private:
    Inner inner_;
    std::function<std::shared_ptr<Storage>(inner_storage)> wrap_;
};

/// Moves a file into what derives from it.
template <typename Storage, typename File>
[[nodiscard]] std::shared_ptr<Storage> adopt(std::shared_ptr<File> const& file) {
    return std::make_shared<Storage>(std::move(*file));
}

} // namespace support
