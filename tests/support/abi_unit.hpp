// SPDX-License-Identifier: BSL-1.0
// The body of each unit of tests/abi/: they differ in COPPICE_ASSERTIONS alone and are linked into
// one program. No include guard and no shared type of coppice: each unit has its own.
// Before it: COPPICE_ASSERTIONS, and ABI_UNIT, the name of the unit's namespace.

#include <coppice/database.hpp>

#include <abi_units.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <typeinfo>

namespace abi {

namespace ABI_UNIT {

struct open_database final : handle {
    explicit open_database(std::string const& path)
        : db(path, {.preallocate_bytes = 0, .nodes = {128, 128, 32}}) {}

    void put(std::string const& key, std::string const& value) override {
        db.update([&](auto& txn) { txn.put(key, value); });
    }
    [[nodiscard]] std::string get(std::string const& key) override {
        return db.get(key).value_or("absent");
    }
    void begin() override { open_transaction.emplace(db.write()); }
    void commit() override {
        open_transaction->commit();
        open_transaction.reset();
    }
    [[nodiscard]] bool can_begin() override { return db.try_write().has_value(); }
    void compact() override { static_cast<void>(db.compact()); }
    [[nodiscard]] bool sound() override { return db.check().clean(); }
    [[nodiscard]] std::uint64_t size() override { return db.read().size(); }

    coppice::database db;
    std::optional<coppice::transaction> open_transaction;
};

std::unique_ptr<handle> open(std::string const& path) {
    return std::make_unique<open_database>(path);
}
bool has_assertions() { return COPPICE_ASSERTIONS != 0; }
char const* type_name() { return typeid(coppice::database).name(); }

} // namespace ABI_UNIT

} // namespace abi
