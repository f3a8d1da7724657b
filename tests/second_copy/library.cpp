// SPDX-License-Identifier: BSL-1.0
// A shared library with a copy of coppice of its own, as two plug-ins of one program may have. It
// is built twice. What crosses its border is plain C, since even the types of errors are two.
#include <coppice/database.hpp>

#include <memory>
#include <optional>

namespace {

std::unique_ptr<coppice::database> db;
std::optional<coppice::transaction> txn;

/// @return 0, or the kind of the error
template <typename Call> int kind_of(Call const& call) {
    try {
        call();
    } catch (coppice::error const& e) {
        return static_cast<int>(e.kind());
    } catch (...) {
        return -1;
    }
    return 0;
}

} // namespace

#define EXPORTED extern "C" [[gnu::visibility("default")]]

EXPORTED int copy_open(char const* path) {
    return kind_of([&] { db = std::make_unique<coppice::database>(path); });
}
EXPORTED int copy_begin() {
    return kind_of([&] {
        txn.emplace(db->write());
        txn->put("by", "a copy");
    });
}
EXPORTED int copy_commit() {
    if (!txn) return -2;
    return kind_of([&] {
        txn->commit();
        txn.reset();
    });
}
EXPORTED int copy_entries() { return static_cast<int>(db->read().size()); }
EXPORTED void copy_close() {
    txn.reset();
    db.reset();
}
